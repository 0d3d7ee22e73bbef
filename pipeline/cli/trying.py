"""The commands to try things with: demo, gateway."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--port", default=8900, show_default=True, help="The port on loopback; 0 takes a free one.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Serve the recorded answers of this directory, a step at each POST /replay/next.",
)
def gateway(*, port: int, replay: Path | None) -> None:
    """Start a reference gateway: a real server of the documented contract, with faults on request."""
    from pipeline.gateway import Gateway, Replay, describe, sample

    try:
        served = Gateway(port, replay=Replay(replay) if replay else None)
        served.start()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"port {port} cannot be used: {error.strerror}; name another --port"
        ) from error
    if replay:
        click.echo(f"{served.url}/v1/models serves {replay}; a step at each POST {served.url}/replay/next")
    else:
        sample(served)
        click.echo(describe(served))
    try:
        served.wait()
    except KeyboardInterrupt:
        served.stop()
