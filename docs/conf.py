"""The documentation site and the manual page: `make docs`, `make man`.  Its sources are the .md files here."""

import sys
from pathlib import Path

from fastnlb import __version__

sys.path.insert(0, str(Path(__file__).with_name("_ext")))

project = "fastnlb"
release = version = __version__
extensions = ["myst_parser", "elsewhere"]
exclude_patterns = ["**/*.inc.md", "decisions/README.md"]
nitpicky = True

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"fastnlb {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_copyright = False
html_theme_options = {"footer_icons": []}

man_pages = [("man/fastnlb", "fastnlb", "network load balancer: TLS in, plaintext TCP out", "", 1)]
