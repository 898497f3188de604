"""`mailverdict schema`: the rules language itself, for editors and for people."""

import click


@click.command(
    "schema",
    epilog="\b\nExamples:\n  mailverdict schema > rules.schema.json\n"
    "  mailverdict schema --format text > rules-reference.md",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="json",
    show_default=True,
    help="JSON Schema for editors, or text (Markdown) for people.",
)
def schema_command(form: str) -> None:
    """Print the JSON Schema of rules files, for an editor that completes keys and marks mistakes.

    An editor with the YAML language server uses it when a rules file begins with
    `# yaml-language-server: $schema=rules.schema.json`.
    """
    if form == "text":
        from policy.rules.describing.reference import reference_page

        click.echo(reference_page(), nl=False)
    else:
        from adapters.cli.show import print_json
        from policy.rules.describing.schema import rules_schema

        print_json(rules_schema())
