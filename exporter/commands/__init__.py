"""Commands with more to them than a few lines; exporter.cli names them all."""
