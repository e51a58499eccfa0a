"""The HTTP interface: the hot path, the API for programs, and the pages."""

from abtest.web.app import make_app
from abtest.web.base_path import check_base_path
from abtest.web.hot import HotServer
from abtest.web.monitoring import COUNTS_FOLDER, Monitoring, counts_folder
from abtest.web.origins import Origins
from abtest.web.server import listen, open_port, port_of, stop_serving
from abtest.web.services import Management, Services
from abtest.web.single_sign_on import check_single_sign_on, make_provider

__all__ = [
    "COUNTS_FOLDER",
    "HotServer",
    "Management",
    "Monitoring",
    "Origins",
    "Services",
    "check_base_path",
    "check_single_sign_on",
    "counts_folder",
    "listen",
    "make_app",
    "make_provider",
    "open_port",
    "port_of",
    "stop_serving",
]
