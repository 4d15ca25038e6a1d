"""The days and the waterfall of a report, drawn: as PNG, and as SVG for the page. The only owner of matplotlib."""
