"""What is served over HTTP."""

from exporter.web.app import Pages, make_app

__all__ = ["Pages", "make_app"]
