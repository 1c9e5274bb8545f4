"""A command whose help shows its examples as they are pasted."""

from typing import Any

from typer.core import TyperCommand


class Command(TyperCommand):
    """Prints blocks of code unwrapped, with one blank line around them where rich has two."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own types are not public
        """Print the help."""
        from rich.markdown import CodeBlock, Markdown
        from rich.text import Text

        class Example(CodeBlock):
            def __rich_console__(self, *_: object) -> Any:  # noqa: ANN401 - what rich prints
                lines = str(self.text).rstrip().splitlines()
                yield Text("\n".join(f"  {line}" for line in lines), no_wrap=True, overflow="ignore")

        Markdown.elements["code_block"] = Example
        super().format_help(ctx, formatter)
