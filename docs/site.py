"""What mkdocs needs to know of this repository; `make docs` calls it.

The root's own documents become pages, the reference gets a page per package,
and links keep their meaning: they are written as GitHub wants them.
"""

import pathlib
import posixpath
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).parents[1]
# Documents of the repository's root, by the page that shows them.
_ROOTS = {
    "index.md": "README.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
_PAGES = {path: page for page, path in _ROOTS.items()}
_HEAD = "{show_root_heading: false, members: false}"  # the page has a title
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are no files in docs/."""
    for page, path in _ROOTS.items():
        text = (ROOT / path).read_text()
        files.append(File.generated(config, page, content=text))
    for package in _packages():
        page = f"reference/{package}.md"
        text = _reference(package)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Turns links between files into links between pages."""
    source = page.file.src_uri
    document = _ROOTS.get(source, f"docs/{source}")

    def turned(link: re.Match) -> str:
        picture, text, target, anchor = link.groups(default="")
        path = posixpath.normpath(
            f"{posixpath.dirname(document)}/{target}".strip("/")
        )
        shown = _PAGES.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(shown):
            way = posixpath.relpath(shown, posixpath.dirname(source) or ".")
            return f"{picture}[{text}]({way}{anchor})"
        # A file that is no page: to the repository, once it has an address.
        if (ROOT / path).exists() and not picture:
            address = config.repo_url
            return f"[{text}]({address}/blob/main/{path})" if address else text
        return link[0]  # for mkdocs to complain of

    return _LINK.sub(turned, markdown)


def _packages() -> list[str]:
    """Names of the packages that users import or read."""
    return [
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in ("actors", "learner", "meta", "experiments")
        for path in sorted((ROOT / package).rglob("__init__.py"))
    ]


def _reference(package: str) -> str:
    """A page with the package and all of its modules."""
    folder = ROOT.joinpath(*package.split("."))
    names = sorted(path.stem for path in folder.glob("*.py"))
    modules = [f"{package}.{n}" for n in names if not n.startswith("__")]
    parts = "\n\n".join(f"::: {name}" for name in modules)
    return f"# {package}\n\n::: {package}\n    options: {_HEAD}\n\n{parts}\n"
