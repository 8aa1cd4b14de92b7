"""A simulated OpenWrt router: nlbwmon as a client sees it, on a router that answers over real SSH."""
