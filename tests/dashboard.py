"""The page in a real browser: what it shows is what SQL says, and nothing in a log does anything.

    python3 dashboard.py < plan.json

The plan: {"journeyql": binary, "store": folder, "report": page of the store, "sankey": page of the river alone,
"hostile": page of a log full of markup, "out": a folder for downloads, "server": address of a server of the store, if
any}. Every chart's own SQL is taken from the page
and run by the binary. Exit code 3: playwright or Chromium is not there. A failed check is an assertion.
"""

import json
import pathlib
import subprocess

from browser import CHROMIUM, PLAN, sync_playwright

OUT = pathlib.Path(PLAN["out"])


def sql(text):
    """The rows of a query."""
    command = [PLAN["journeyql"], "--store", PLAN["store"], "sql", "--format", "json", text]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{text}\n{ran.stderr}"
    return json.loads(ran.stdout)


def number(text):
    """A cell's `data-value` as a number."""
    return None if text is None else float(text)


class Page:
    """A page that is watched: any word on the console, any failure, any request elsewhere fails the test."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.faults = []
        own = address.split("#")[0]
        self.origin = own if own.startswith("file:") else "/".join(own.split("/")[:3])
        self.page.on("console", lambda said: self.faults.append(f"console: {said.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", self.requested)
        self.page.goto(address)
        self.page.wait_for_selector("#tiles dd")

    def requested(self, request):
        if not request.url.startswith((self.origin, "data:", "blob:")):
            self.faults.append(f"request: {request.url}")

    def done(self):
        self.context.close()
        assert not self.faults, self.faults

    def open_all(self):
        """Brings every panel into sight and waits until it is drawn."""
        for panel in self.page.query_selector_all("section.panel"):
            panel.scroll_into_view_if_needed()
            name = panel.get_attribute("id")
            self.page.wait_for_selector(f"#{name}:not([aria-busy]) .body > :not(.waiting)")
        for more in self.page.query_selector_all("button.more"):
            more.click()

    def values(self, selector, *attributes):
        """The attributes of all elements, and their texts last."""
        script = """(all, names) => all.map((one) => [...names.map((name) => one.getAttribute(name)), one.textContent])"""
        return self.page.eval_on_selector_all(selector, script, list(attributes))

    def sql_of(self, panel):
        """The SQL texts that a panel shows."""
        self.page.click(f"#{panel} .tools button:text-is('SQL')")
        texts = self.page.eval_on_selector_all(f"#{panel}-sql pre", "(all) => all.map((one) => one.textContent)")
        assert texts, f"{panel} shows no SQL"
        return texts

    def download(self, panel, button):
        with self.page.expect_download() as waiting:
            self.page.click(f"#{panel} .tools button:text-is('{button}')")
        path = OUT / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def state(self):
        return self.page.evaluate("location.hash")


def check_table(page, panel, keys, row_key):
    """A table's cells are the rows of the SQL that the panel shows, in their order."""
    [text] = page.sql_of(panel)
    rows = [row for row in sql(text) if row_key != "page" or panel != "dwell" or row["n"]]
    for key in keys:
        shown = page.values(f"#{panel} tbody [data-key='{key}']", "data-value")
        expected = [row[key] for row in rows]
        assert len(shown) == len(expected), (panel, key, len(shown), len(expected))
        for (value, written), row_value in zip(shown, expected):
            if isinstance(row_value, str):
                assert value == row_value, (panel, key, value, row_value)
                continue
            assert number(value) == row_value, (panel, key, value, row_value)
            if isinstance(row_value, int):
                assert written.replace(",", "") == str(row_value), (panel, key, written, row_value)
    return rows


def check_tiles(page, settings=""):
    row = sql(f"{settings}SELECT * FROM stats")[0]
    for key, value, text in page.values("#tiles dd", "data-key", "data-value"):
        assert number(value) == row[key], (key, value, row[key])
        if isinstance(row[key], int):
            assert text.replace(",", "") == str(row[key]), (key, text)


def check_river(page):
    """Nodes and links are those of `flows`; what flows into a step flows out of it."""
    [text] = page.sql_of("flows")
    deepest = 5
    rows = [row for row in sql(text) if row["position"] < deepest]
    links = page.values("#flows path.link", "data-source", "data-target", "data-value")
    assert sum(int(value) for _, _, value, _ in links) == sum(row["sessions"] for row in rows)
    expected = sorted((row["position"], row["sessions"]) for row in rows)
    assert sorted((int(source.split(":")[0]), int(value)) for source, _, value, _ in links) == expected
    for identity, value, _ in page.values("#flows g.node", "data-id", "data-value"):
        into = sum(int(n) for _, target, n, _ in links if target == identity)
        out = sum(int(n) for source, _, n, _ in links if source == identity)
        position, step = identity.split(":", 1)
        assert position == "0" or into == int(value), (identity, into, value)
        if step != "EXIT" and int(position) < deepest:
            assert out == int(value), (identity, out, value)


def check_matrix(page):
    [text] = page.sql_of("transitions")
    rows = {(row["from_step"], row["to_step"]): row for row in sql(text)}
    shown = page.values("#transitions td[data-key]", "data-key", "data-value")
    assert len(shown) > 20
    for key, value, written in shown:
        row = rows[tuple(key.split("\n"))]
        assert int(value) == row["transitions"], key
        share = row["probability"] * 100
        assert written == ("<1%" if share < 0.5 else f"{int(share + 0.5)}%"), (key, written, share)


def check_numbers(page):
    """Every chart against its own SQL."""
    page.open_all()
    check_tiles(page)
    check_river(page)
    check_matrix(page)
    counts = ["sessions", "entries", "drop_offs"]
    check_table(page, "dropoffs", ["page", *counts, "drop_off_rate", "exit_rate", "bounce_rate"], "page")
    check_table(page, "paths", ["path", "sessions", "share", "median_duration_s"], "path")
    check_table(page, "dwell", ["page", "median_s", "n"], "page")
    [text] = page.sql_of("funnel")
    stages = sql(text)
    assert len(stages) >= 3
    shown = page.values("#funnel [data-key='units']", "data-value")
    assert [int(value) for value, _ in shown] == [row["units"] for row in stages]
    assert [written for _, written in shown] == [f"{row['units']:,} people" for row in stages]
    [text] = page.sql_of("retention")
    cells = {key: int(value) for key, value, _ in page.values("#retention td[data-key*='/']", "data-key", "data-value")}
    assert cells == {f"{row['cohort']}/{row['period']}": row["users"] for row in sql(text)}
    [text] = page.sql_of("daily")
    shown = page.values("#daily rect.day", "data-value")
    assert [int(value) for value, _ in shown if value != "0"] == [row["sessions"] for row in sql(text)]
    reached = sum(row["reached"] for row in sql(page.sql_of("goals")[0]))
    [(value, _)] = page.values("#goals .figure", "data-value")
    assert int(value) == reached > 0
    [text] = page.sql_of("replay")
    steps = [value for value, _ in page.values("#replay li[data-key='step']", "data-value")]
    assert sorted(steps) == sorted(row["step"] for row in sql(text))
    lines, *_ = page.values("#health tbody [data-key='lines']", "data-value")
    assert int(lines[0]) == sql(page.sql_of("health")[0])[0]["lines"]
    status = page.page.inner_text("#status")
    for words in ["UTC", "in quarantine", "All rules hold"]:
        assert words in status, status


def check_hands(page):
    """Clicks: a node filters, the address keeps it, charts become tables, CSV and PNG come out."""
    page.page.click("#flows g.node[data-id='1:/'] rect.touch")
    assert page.state() == "#step=%2F", page.state()
    assert "Step /" in page.page.inner_text("#chips")
    assert page.page.get_attribute("#flows g.node[data-id='1:/']", "aria-pressed") == "true"
    for path, _ in page.values("#paths [data-key='path']", "data-value"):
        assert "/" in path.split(" > "), path
    page.page.go_back()
    assert page.state() == ""
    assert page.page.inner_text("#chips") == ""
    box = page.page.locator("#flows g.node[data-id='1:/']").bounding_box()
    page.page.mouse.move(box["x"] + 6, box["y"] + 40)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 26, box["y"] + 90, steps=4)
    page.page.mouse.up()
    assert "translate" in page.page.get_attribute("#flows g.node[data-id='1:/']", "transform")
    assert page.state() == "", "a drag is no click"
    page.page.hover("#flows g.node[data-id='2:EXIT'] rect.touch")
    assert "sessions" in page.page.inner_text("#tip")
    page.page.click("#flows .tools button:text-is('Table')")
    assert page.page.locator("#flows table.raw tbody tr").count() > 20
    page.page.click("#flows .tools button:text-is('Table')")
    for panel in ["flows", "dropoffs", "transitions", "funnel"]:
        picture = page.download(panel, "PNG").read_bytes()
        assert picture[:4] == b"\x89PNG" and len(picture) > 4000, panel
    text = page.download("dropoffs", "CSV").read_text(encoding="utf-8")
    assert text.startswith("page,sessions,views,hits,"), text[:80]


def check_keyboard(page):
    """From the top with the Tab key: the skip link, the river's one stop, its nodes by arrows, Enter filters."""
    page.page.reload()
    page.page.wait_for_selector("#flows g.node")
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.id") == "skip"
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "main"
    seen = []
    for _ in range(200):
        page.page.keyboard.press("Tab")
        seen.append(page.page.evaluate(
            "(document.activeElement.closest('section')?.id ?? '') + ' ' + (document.activeElement.getAttribute('class') ?? '')"))
        if "node" in seen[-1]:
            break
    assert "flows node" in seen[-1], seen
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowDown")
    name = page.page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "sessions" in name, name
    page.page.keyboard.press("Enter")
    assert page.state().startswith("#step="), page.state()
    page.page.go_back()
    unnamed = page.page.evaluate("""() => [...document.querySelectorAll('button, input, select, [role=button], [tabindex="0"]')]
        .filter((one) => one.checkVisibility() && !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length))
        .map((one) => one.outerHTML.slice(0, 120))""")
    assert not unnamed, unnamed


def check_hostile(browser):
    page = Page(browser, pathlib.Path(PLAN["hostile"]).as_uri())
    page.open_all()
    for panel in page.page.query_selector_all("section.panel"):
        for button in panel.query_selector_all(".tools button:text-is('Table'), .tools button:text-is('SQL')"):
            if button.is_enabled():
                button.click()
    page.page.wait_for_timeout(300)
    assert page.page.evaluate("window.pwned") is None, "a page's name was run"
    assert page.page.locator("main img, main script, main iframe, main a").count() == 0
    text = page.page.inner_text("main")
    assert "<script>window.pwned=1</script>" in text and "\u202e" not in text and "‹202E›evil" in text
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a long name breaks the page's width"
    csv = page.download("dropoffs", "CSV").read_text(encoding="utf-8")
    assert "\n'=HYPERLINK" in csv or "\n\"'=HYPERLINK" in csv, csv
    assert not any(line.startswith(("=", "+", "@", '"=')) for line in csv.splitlines()), csv
    page.done()


def check_report(browser):
    page = Page(browser, pathlib.Path(PLAN["report"]).as_uri(), viewport={"width": 1280, "height": 900})
    check_numbers(page)
    check_hands(page)
    check_keyboard(page)
    page.done()
    for options in [{"viewport": {"width": 380, "height": 800}}, {"color_scheme": "dark"}]:
        page = Page(browser, pathlib.Path(PLAN["report"]).as_uri(), **options)
        page.open_all()
        assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the screen"
        page.done()
    page = Page(browser, pathlib.Path(PLAN["sankey"]).as_uri())
    assert page.page.locator("section.panel").count() == 1
    check_river(page)
    page.done()


def check_server(browser):
    """What only a server can: other days, other people, other steps; the address holds all of it."""
    page = Page(browser, PLAN["server"], viewport={"width": 1280, "height": 900})
    check_numbers(page)
    page.page.fill("#filter-from", "2025-03-05")
    page.page.fill("#filter-to", "2025-03-07")
    page.page.select_option("#filters label:has-text('Session gap') select", "10 minutes")
    address = page.page.url
    for words in ["from=2025-03-05", "to=2025-03-07", "gap=10+minutes"]:
        assert words in address, address
    settings = "SET journeyql.from = '2025-03-05'; SET journeyql.to = '2025-03-08'; SET journeyql.session_gap = '10 minutes'; "
    sessions = sql(f"{settings}SELECT sessions FROM stats")[0]["sessions"]
    for seen in [page, Page(browser, address)]:
        seen.page.wait_for_selector(f"#tiles [data-key='sessions'][data-value='{sessions}']")
        check_tiles(seen, settings)
        if seen is not page:
            seen.open_all()
            seen.done()
    # A step that is clicked filters every figure: the sessions that have it.
    page.page.goto(PLAN["server"])
    page.page.wait_for_selector("#flows g.node")
    page.page.click("#flows g.node[data-id='1:/'] rect.touch")
    settings = "SET journeyql.with_step = '/'; "
    [whole], [some] = (sql(f"{before}SELECT sessions FROM stats") for before in ["", settings])
    assert 0 < some["sessions"] < whole["sessions"], (some, whole)
    page.page.wait_for_selector(f"#tiles [data-key='sessions'][data-value='{some['sessions']}']")
    page.open_all()
    check_tiles(page, settings)
    check_river(page)
    for row in check_table(page, "paths", ["path", "sessions"], "path"):
        assert "/" in row["path"].split(" > "), row
    check_table(page, "dropoffs", ["page", "sessions", "drop_off_rate"], "page")
    assert "journeyql.with_step = '/'" in page.page.inner_text("#flows-sql pre")
    page.page.click("#chips button:has-text('Step /')")
    page.page.wait_for_selector(f"#tiles [data-key='sessions'][data-value='{whole['sessions']}']")
    page.page.goto(PLAN["server"])
    page.page.wait_for_selector("#tiles dd")
    page.page.locator("#funnel").scroll_into_view_if_needed()
    page.page.fill("#funnel input[aria-label='Step 1']", "/search")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("#funnel .stage:first-of-type bdi:text-is('/search')")
    page.page.select_option("#funnel label:has-text('Counting') select", "session")
    page.page.wait_for_selector("#funnel .stage .bar:has-text('sessions')")
    [text] = page.sql_of("funnel")
    assert "'/search'" in text and "session" in text, text
    shown = page.values("#funnel [data-key='units']", "data-value")
    assert [int(value) for value, _ in shown] == [row["units"] for row in sql(text)]
    page.page.locator("#replay").scroll_into_view_if_needed()
    page.page.fill("#replay input", "u00010")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("#replay h3:has-text('Session 12')")
    assert "replay=u00010" in page.state(), page.state()
    page.done()


with sync_playwright() as playwright:
    # Tests run as root in containers, where Chromium's sandbox is not to be had; the pages are our own.
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    check_report(browser)
    check_hostile(browser)
    if PLAN.get("server"):
        check_server(browser)
    browser.close()
print("the page shows what SQL says")
