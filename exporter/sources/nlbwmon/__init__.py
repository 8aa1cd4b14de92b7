"""OpenWrt routers: the rows of nlbwmon, read over SSH."""
