"""The HTTP interface: the hot path, the API for programs, and the pages."""

from abtest.web.app import make_app
from abtest.web.base_path import check_base_path
from abtest.web.hot import HotServer
from abtest.web.monitoring import COUNTS_FOLDER, Monitoring, counts_folder
from abtest.web.origins import Origins
from abtest.web.server import listen, open_port, port_of, stop_serving
from abtest.web.services import Management, Services

__all__ = [
    "COUNTS_FOLDER",
    "HotServer",
    "Management",
    "Monitoring",
    "Origins",
    "Services",
    "check_base_path",
    "counts_folder",
    "listen",
    "make_app",
    "open_port",
    "port_of",
    "stop_serving",
]
