"""Choices whose error names the nearest of them."""

from typing import Any

import click

from model.errors import nearest


class NearChoice(click.Choice[Any]):
    """As click's, with the nearest choice in the error."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The choice."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(
                f"'{value}' is none of them; {nearest(str(value), self.choices)}", param, ctx
            )
