"""What is served over HTTP."""

from exporter.web.app import Control, Pages, make_app

__all__ = ["Control", "Pages", "make_app"]
