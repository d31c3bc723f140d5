"""warrantyd with a database and a config of its own."""

from pathlib import Path

from history import MEASURED_DAY
CONFIG = """\
[database]
url = "{url}"

[business]
name = "Made-up shop"
timezone = "UTC"

[notices]
live_from = {live_from}

[mail]
transport = "smtp"
url = "smtp://127.0.0.1:{port}?tls=off"
from = "warranty@shop.example"
send_between = "00:00-24:00"
surge_limit = 1000000000
"""


class Shop:
    """The config is written anew for each database."""

    def __init__(self, binary: Path, folder: Path):
        self.binary = binary
        self.config = folder / "warrantyd.toml"

    def configure(self, url: str, port: int = 25, more: str = "") -> None:
        text = CONFIG.format(url=url, live_from=MEASURED_DAY, port=port)
        self.config.write_text(text + more)

    def command(self, *args) -> dict:
        """How `measure` runs a command."""
        return {"argv": [self.binary, "--config", self.config, *args]}
