"""The `mailverdict` command: it reads options and input, calls the engine, and shows what came back."""


def main() -> None:
    """Run the command; the entry point of the distribution."""
    from adapters.cli.app import cli

    cli.main(prog_name="mailverdict")


__all__ = ["main"]
