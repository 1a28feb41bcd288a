"""What a page of HTML holds."""

import html.parser


class Parser(html.parser.HTMLParser):
    """Collects tags and text, and checks that tags close in order."""

    VOID = {'meta', 'img', 'br'}

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._open = [], '', []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data
