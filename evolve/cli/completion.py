"""Completion in bash, with what click's own lacks: KEY=VALUE, whose parts bash takes for words."""

from click.shell_completion import BashComplete, CompletionItem, add_completion_class

_SCRIPT = """\
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            *)
                COMPREPLY+=("$value")
                [[ $value == *= ]] && compopt -o nospace
                ;;
        esac
    done < <(
        COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1"
    )
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Bash: KEY, = and VALUE are put together again before they are completed."""

    source_template = _SCRIPT

    def source(self) -> str:
        """The script; unlike click's it needs no bash to be made."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """Whole arguments before the cursor, and the beginning of the one at it."""
        args, incomplete = super().get_completion_args()
        whole = joined([*args, incomplete])
        return whole[:-1], whole[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """One line for the script; of KEY=VALUE bash wants what is behind the sign."""
        _, incomplete = self.get_completion_args()
        value = str(item.value)
        if "=" in incomplete and item.type == "plain":
            value = value[incomplete.rindex("=") + 1 :]
        return f"{item.type},{value}"


def joined(words: list[str]) -> list[str]:
    """Words with those around an '=' that stands alone put together."""
    whole: list[str] = []
    glue = False
    for word in words:
        if whole and (glue or word == "=") and not (glue and word == ""):
            whole[-1] += word
        elif not glue:
            whole.append(word)
        glue = word == "="
    return whole


def use() -> None:
    """Let click complete for bash as told here."""
    add_completion_class(Bash)
