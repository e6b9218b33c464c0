"use strict";
(() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  // -- tables: sort, hide columns, copy ------------------------------------------------------

  const heads = (table) => [...(table.tHead?.rows[table.tHead.rows.length - 1]?.cells ?? [])];
  const isFlat = (table) => {
    const width = heads(table).length;
    const rows = [...table.tHead.rows, ...[...table.tBodies].flatMap((body) => [...body.rows])];
    return rows.every((row) => row.cells.length === width && [...row.cells].every((c) => c.colSpan === 1));
  };
  const words = (cell) => (cell.dataset.text ?? cell.textContent).replace(/\s+/g, " ").trim();

  const valueOf = (cell) => {
    const given = cell?.dataset.value;
    const text = given ?? (cell ? words(cell) : "");
    const found = text.replace(/[,\u2009]/g, "").replace(/\u2212/g, "-").match(/^[+]?(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/i);
    return found ? Number(found[1]) : text === "" || /^[-\u2013]+$/.test(text) ? null : text.toLowerCase();
  };
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a < b ? -1 : a > b ? 1 : 0;
  };
  const sortBy = (table, place, way) => {
    const body = table.tBodies[0];
    table.inOrder ??= [...body.rows];
    const rows = table.inOrder.map((row) => [valueOf(row.cells[place]), row]);
    if (way) rows.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : way * compare(a, b)));
    body.append(...rows.map(([, row]) => row));
  };
  const makeSortable = (table) => {
    heads(table).forEach((head, place) => {
      const button = make("button", { type: "button", class: "sort", title: "Sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const way = { ascending: -1, descending: 0 }[head.ariaSort] ?? 1;
        heads(table).forEach((other) => other.removeAttribute("aria-sort"));
        if (way) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
        sortBy(table, place, way);
      });
    });
  };

  const shownRows = (table) => [...table.rows].map((row) => [...row.cells].filter((cell) => !cell.hidden));
  const csvCell = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const harmless = (text) => (/^[=+@\t\r]|^-(?!\d|\.\d|-?$)/.test(text) && !/^[+-]?[\d.]+$/.test(text) ? `'${text}` : text);
  const asCsv = (table) => shownRows(table).map((row) => row.map((cell) => csvCell(harmless(words(cell)))).join(",")).join("\n") + "\n";
  const asMarkdown = (table) => {
    const safe = (text) => text.replace(/[\\|`*_<>[\]]/g, "\\$&");
    const [first, ...rest] = shownRows(table);
    const rule = first.map((cell) => (cell.classList.contains("number") ? "---:" : "---"));
    const line = (cells) => `| ${cells.join(" | ")} |`;
    return [line(first.map((c) => safe(words(c)))), line(rule), ...rest.map((row) => line(row.map((c) => safe(words(c)))))].join("\n") + "\n";
  };
  const TEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "\u2212": "$-$", "\u00b1": "$\\pm$", "\u00d7": "$\\times$", "\u0394": "$\\Delta$", "\u2713": "$\\surd$", "\u2192": "$\\to$", "\u2013": "--", "\u2026": "\\dots{}" };
  const asLatex = (table) => {
    const safe = (text) => text.replace(/[\\~^\u2212\u00b1\u00d7\u0394\u2713\u2192\u2013\u2026]|[#$%&_{}]/g, (c) => TEX[c] ?? `\\${c}`);
    const [first, ...rest] = shownRows(table);
    const spec = first.map((cell) => (cell.classList.contains("number") ? "r" : "l")).join("");
    const bold = (cell) => (cell.querySelector("strong") ? `\\textbf{${safe(words(cell))}}` : safe(words(cell)));
    const lines = (rows) => rows.map((row) => `  ${row.map(bold).join(" & ")} \\\\`);
    return [`\\begin{tabular}{${spec}}`, "  \\toprule", ...lines([first]), "  \\midrule", ...lines(rest), "  \\bottomrule", "\\end{tabular}"].join("\n") + "\n";
  };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const field = make("textarea", { class: "aside", readonly: "" });
      field.value = text;
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      return done;
    }
  };
  const copyButton = (name, how, table) => {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", async () => {
      button.textContent = (await copy(how(table))) ? "copied" : "refused";
      setTimeout(() => (button.textContent = name), 1500);
    });
    return button;
  };
  const columnList = (table) => {
    const list = make("details", { class: "columns" }, make("summary", {}, "columns"));
    const fields = make("div", { class: "fields" });
    heads(table).forEach((head, place) => {
      if (!place) return;
      const box = make("input", { type: "checkbox" });
      box.checked = true;
      box.addEventListener("change", () => {
        for (const row of table.rows) if (row.cells[place]) row.cells[place].hidden = !box.checked;
      });
      fields.append(make("label", {}, box, ` ${words(head) || `column ${place + 1}`}`));
    });
    list.append(fields);
    return list;
  };
  const addTools = (table) => {
    const flat = isFlat(table);
    const tools = make("div", { class: "tools", role: "group", "aria-label": `Copy or change the table ${table.id}` });
    tools.append(make("span", {}, "copy as"), copyButton("LaTeX", asLatex, table), copyButton("Markdown", asMarkdown, table), copyButton("CSV", asCsv, table));
    if (flat && heads(table).length > 4) tools.append(columnList(table));
    if (flat && table.tBodies[0]?.rows.length > 2) makeSortable(table);
    (table.closest(".scroll") ?? table).before(tools);
  };
  for (const table of document.querySelectorAll("table[id]")) if (table.tHead) addTools(table);

  // -- figures: what is under the pointer, or chosen by arrow keys ---------------------------

  const tip = make("div", { class: "tip", role: "status", hidden: "" });
  document.body.append(tip);
  const show = (svg, [x, y, label]) => {
    const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
    tip.textContent = label;
    tip.hidden = false;
    const left = Math.min(Math.max(at.x - tip.offsetWidth / 2, 4), document.documentElement.clientWidth - tip.offsetWidth - 4);
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(at.y - tip.offsetHeight - 10 < 0 ? at.y + 12 : at.y - tip.offsetHeight - 10) + scrollY}px`;
  };
  const nearest = (svg, points, event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = null, least = 14 ** 2;
    for (const point of points) {
      const distance = (point[0] - at.x) ** 2 + (point[1] - at.y) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  };
  for (const svg of document.querySelectorAll("svg[data-points]")) {
    const points = svg.dataset.points.split("\n").map((line) => {
      const [x, y, target, ...label] = line.split(",");
      return [Number(x), Number(y), label.join(","), target];
    });
    let place = -1;
    const go = (point) => point?.[3] && document.getElementById(point[3]) && (location.hash = point[3]);
    svg.tabIndex = 0;
    svg.addEventListener("pointermove", (event) => {
      const point = nearest(svg, points, event);
      point ? show(svg, point) : (tip.hidden = true);
      svg.classList.toggle("over", Boolean(point?.[3]));
    });
    svg.addEventListener("pointerleave", () => (tip.hidden = true));
    svg.addEventListener("blur", () => (tip.hidden = true));
    svg.addEventListener("click", (event) => go(nearest(svg, points, event)));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Enter") return go(points[place]);
      if (event.key === "Escape") return (tip.hidden = true);
      if (!step || !points.length) return;
      event.preventDefault();
      place = (place + step + points.length) % points.length;
      show(svg, points[place]);
    });
  }

  // -- what a link leads to is open; a living page keeps its place ---------------------------

  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  const seconds = Number(document.documentElement.dataset.reload);
  const key = `evolve ${location.pathname}`;
  const opened = () => [...document.querySelectorAll("details")].flatMap((one, n) => (one.open ? [n] : []));
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "null");
    if (kept) {
      const all = document.querySelectorAll("details");
      for (const n of kept.opened) if (all[n]) all[n].open = true;
      scrollTo(0, kept.top);
      sessionStorage.removeItem(key);
    }
  } catch { /* a browser that keeps nothing */ }
  if (seconds) {
    setInterval(() => {
      if (document.hidden || document.activeElement?.closest(".tools") || String(getSelection())) return;
      try {
        sessionStorage.setItem(key, JSON.stringify({ top: scrollY, opened: opened() }));
      } catch { /* as above */ }
      location.reload();
    }, 1000 * seconds);
  }
})();
