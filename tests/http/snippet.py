"""/j.js in a real browser: what people do on a page of another site becomes events, once, and figures of the dashboard.

    python3 snippet.py < plan.json

The plan: {"journeyql": binary, "store": folder, "server": address of a server of the store that collects and commits
often}. The pages come from a site of the test's own, which also passes messages on to the server, counts them, and
fails where it is told to. Exit code 3: playwright or Chromium is not there. A failed check is an assertion.
"""

import http.client
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import time
import wave

sys.path.insert(0, os.path.join(os.path.dirname(__file__), os.pardir))
from browser import CHROMIUM, PLAN, sync_playwright

SERVER = PLAN["server"].rstrip("/")

# What a headless browser calls itself is a robot, and takes no steps.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
PAGE = """<!doctype html><html lang="en"><title>Shop</title><link rel="icon" href="data:,">
<script src="%(from)s/j.js" data-key="k1" %(more)s></script>
<body><a id="more" href="#x">More</a> <button id="buy"><b>Buy</b></button> <p id="text">Words</p>
<form id="sign" action="/done"><input name="mail" value="secret@example.org"><button id="send">Go</button></form>
<video id="clip" src="/clip.wav" muted></video><div style="height: 4000px"></div>
<script>document.querySelector('form').addEventListener('submit', (event) => event.preventDefault())</script>"""


def clip():
    """A tenth of a second of silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return out.getvalue()


class Site(http.server.BaseHTTPRequestHandler):
    """Any path is the page; ?via has the snippet from here, so that messages come here and are passed on."""

    protocol_version = "HTTP/1.1"
    batches = []
    failing = 0

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/clip.wav":
            return self.answer(200, "audio/wav", clip())
        if path == "/j.js":
            return self.answer(200, "text/javascript", passed("GET", "/j.js", None)[1])
        more = 'data-consent="required"' if "consent" in query else 'data-auto="page"' if "auto" in query else ""
        page = PAGE % {"from": "" if "via" in query else SERVER, "more": more}
        return self.answer(200, "text/html; charset=utf-8", page.encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        Site.batches.append(json.loads(body)["batch"])
        if Site.failing > 0:
            Site.failing -= 1
            return self.answer(503, "text/plain", b"later")
        status, said = passed("POST", self.path, body)
        return self.answer(status, "application/json", said)

    def log_message(self, *_):
        pass


def passed(method, path, body):
    """What the server says."""
    connection = http.client.HTTPConnection(SERVER.removeprefix("http://"), timeout=60)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def sql(text):
    """The rows of a query."""
    command = [PLAN["journeyql"], "--store", PLAN["store"], "sql", "--format", "json", text]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{text}\n{ran.stderr}"
    return json.loads(ran.stdout)


def becomes(text, expected):
    """Waits until a query has these rows."""
    until = time.monotonic() + 60
    while (rows := [tuple(row.values()) for row in sql(text)]) != expected:
        assert time.monotonic() < until, f"{text}\n{rows}\nexpected: {expected}"
        time.sleep(0.2)


class Page:
    """A page of the site that is watched: any word on the console, any failure, any request elsewhere is a fault."""

    def __init__(self, browser, site, path, allowed=(), before=None):
        self.context = browser.new_context()
        if before:
            self.context.add_init_script(before)
        self.page = self.context.new_page()
        self.faults = []
        self.page.on("console", lambda said: self.heard(said.text, allowed))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("request", lambda asked: self.asked(asked.url, (site, SERVER, "data:")))
        self.page.goto(site + path)

    def heard(self, text, allowed):
        if not any(word in text for word in allowed):
            self.faults.append(f"console: {text}")

    def asked(self, url, known):
        if not url.startswith(known):
            self.faults.append(f"request: {url}")

    def run(self, script):
        return self.page.evaluate(script)

    def anonymous(self):
        return self.run("JSON.parse(localStorage.getItem('journey.anonymous'))")

    def done(self):
        self.context.close()
        assert not self.faults, self.faults


def check_journey(browser, site):
    """Page views of a single-page app, clicks, forms, scrolling, a clip, ids, and what is said on leaving."""
    page = Page(browser, site, "/landing?utm=x")
    first = page.anonymous()
    page.run("history.pushState({}, '', '/cart?n=1')")
    page.run("history.pushState({}, '', '/pay')")
    page.run("history.replaceState({}, '', '/pay')")
    page.page.go_back()
    page.page.wait_for_function("location.pathname === '/cart'")
    page.page.click("#buy b")
    page.page.click("#text")
    page.page.click("#send")
    page.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.page.wait_for_timeout(300)
    page.page.evaluate("clip = document.getElementById('clip'), clip.muted = true, clip.play()")
    page.page.wait_for_function("clip.ended")
    page.page.goto(f"{site}/thanks")
    assert page.anonymous() == first, "a new page is the same device"
    page.page.reload()
    assert page.anonymous() == first, "a reload is the same device"
    page.run("journey.identify('ann', {plan: 'pro'}), journey.track('order', {total: 1.5})")
    page.run("journey.reset()")
    page.run("history.pushState({}, '', '/bye')")
    second = page.anonymous()
    assert second and second != first, "after reset it is another device"
    # What is said last has no time to wait for its turn.
    page.run("journey.track('last word')")
    page.page.goto("about:blank")
    page.done()
    own = f"anonymous_id IN ('{first}', '{second}')"
    becomes(f"SELECT count(*) AS n FROM events WHERE {own} AND event = 'last word'", [(1,)])
    steps = f"SELECT coalesce(event, page) AS step FROM events WHERE {own} AND (page IS NOT NULL AND event IS NULL) ORDER BY ts"
    pages = ["/landing", "/cart", "/pay", "/cart", "/thanks", "/thanks", "/bye"]
    becomes(steps, [(name,) for name in pages])
    counts = f"SELECT event, count(*) AS n FROM events WHERE {own} AND event IS NOT NULL GROUP BY event ORDER BY event"
    said = [("click", 2), ("form_submit", 1), ("last word", 1), ("order", 1), ("scroll", 1), ("video_end", 1), ("video_play", 1)]
    becomes(counts, said)
    for event, holds in [
        ("click", '"on":"buy"'),
        ("click", '"on":"send"'),
        ("form_submit", '"form":"sign"'),
        ("scroll", '"percent":100'),
        ("video_play", '"video":"clip"'),
        ("order", '"total":1.5'),
    ]:
        found = sql(f"SELECT count(*) AS n FROM events WHERE {own} AND event = '{event}' AND strpos(properties, '{holds}') > 0")
        assert found == [{"n": 1}], (event, holds, sql(f"SELECT properties FROM events WHERE event = '{event}'"))
    typed = sql("SELECT count(*) AS n FROM events WHERE strpos(properties, 'secret@') > 0")
    assert typed == [{"n": 0}], "what is typed is never sent"
    people = f"SELECT user_id, count(*) AS n FROM events WHERE {own} GROUP BY user_id ORDER BY n DESC"
    rows = sql(people)
    assert [row["user_id"] for row in rows] == ["ann", f"anon:{second}"], rows
    assert rows[1]["n"] == 2, "after reset nothing is ann's"
    referrers = f"SELECT referrer FROM events WHERE {own} AND page = '/pay' AND event IS NULL"
    assert sql(referrers)[0]["referrer"].endswith("/cart?n=1"), "the page before, also without loading"
    assert sql("SELECT count(*) AS n FROM quarantine WHERE strpos(raw, 'anonymousId') > 0") == [{"n": 0}]


def check_retry(browser, site):
    """What the server could not take is sent again, and counts once."""
    Site.batches, Site.failing = [], 2
    page = Page(browser, site, "/retry?via", allowed=["503"])
    page.run("journey.track('again', {n: 1})")
    becomes("SELECT count(*) AS n FROM events WHERE event = 'again'", [(1,)])
    page.page.wait_for_function("!localStorage.getItem('journey.queue')")
    tries = [batch for batch in Site.batches if any(one.get("event") == "again" for one in batch)]
    assert len(tries) == 3, len(tries)
    assert len({one["messageId"] for batch in tries for one in batch if one.get("event") == "again"}) == 1
    # While the server fails, what is said on leaving stays with the browser too.
    Site.batches, Site.failing = [], 2
    page.run("journey.track('kept')")
    until = time.monotonic() + 30
    while not Site.batches:
        assert time.monotonic() < until
        page.page.wait_for_timeout(50)
    page.page.goto(f"{site}/other?via")
    becomes("SELECT count(*) AS n FROM events WHERE event = 'kept'", [(1,)])
    page.done()


def check_batches(browser, site):
    """Many messages are few requests."""
    Site.batches = []
    page = Page(browser, site, "/many?via")
    page.run("for (let n = 0; n < 250; n++) journey.track('many', {n})")
    becomes("SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM events WHERE event = 'many'", [(250, 250)])
    sizes = [len(batch) for batch in Site.batches]
    assert max(sizes) <= 100 and len(sizes) <= 6, sizes
    page.done()


def check_consent(browser, site):
    """Nothing is kept or sent before consent, or after it was taken back."""
    Site.batches = []
    page = Page(browser, site, "/asked?via&consent")
    page.run("journey.track('early'), journey.identify('eve')")
    page.page.click("#buy")
    page.page.wait_for_timeout(1500)
    assert not Site.batches and page.run("localStorage.length") == 0, (Site.batches, page.run("localStorage.length"))
    page.run("journey.consent(true), journey.track('agreed')")
    becomes("SELECT count(*) AS n FROM events WHERE event = 'agreed'", [(1,)])
    page.run("journey.consent(false), journey.track('late')")
    assert page.anonymous() is None
    page.page.goto("about:blank")
    page.done()
    said = {one.get("event") or one["type"] for batch in Site.batches for one in batch}
    assert said == {"page", "agreed"}, said
    # A browser that asks for privacy is heard.
    Site.batches = []
    quiet = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"
    page = Page(browser, site, "/private?via", before=quiet)
    page.run("journey.track('private')")
    page.page.wait_for_timeout(1500)
    page.done()
    assert not Site.batches, Site.batches
    # Only what is asked for is noticed.
    page = Page(browser, site, "/auto?via&auto")
    page.page.click("#buy")
    becomes("SELECT count(*) AS n FROM events WHERE page = '/auto'", [(1,)])
    page.done()


def check_dashboard(browser):
    """The figures of the page are those of the store with all this in it."""
    context = browser.new_context()
    page = context.new_page()
    faults = []
    page.on("console", lambda said: faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    figures = sql("SELECT * FROM stats")[0]
    seen = {row["page"]: row["sessions"] for row in sql("SELECT page, sessions FROM drop_offs")}
    assert seen["/cart"] >= 1 and seen["order"] == 1, seen
    until = time.monotonic() + 60
    while True:
        page.goto(f"{SERVER}/")
        page.wait_for_selector("#tiles dd")
        read = "(all) => all.map((one) => [one.dataset.key, one.dataset.value])"
        shown = {key: float(value) for key, value in page.eval_on_selector_all("#tiles dd", read)}
        if all(figures[key] == value for key, value in shown.items()):
            break
        assert time.monotonic() < until, (shown, figures)
        time.sleep(0.5)
    page.locator("#dropoffs").scroll_into_view_if_needed()
    page.wait_for_selector("#dropoffs:not([aria-busy]) tbody td")
    for more in page.query_selector_all("#dropoffs button.more"):
        more.click()
    cells = "(rows) => rows.map((row) => ['page', 'sessions'].map((key) => row.querySelector(`[data-key='${key}']`)?.dataset.value))"
    drops = dict(page.eval_on_selector_all("#dropoffs tbody tr", cells))
    for name in ["/cart", "/thanks", "order", "video_play"]:
        assert drops.get(name) == str(seen[name]), (name, drops, seen)
    context.close()
    assert not faults, faults


site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
threading.Thread(target=site.serve_forever, daemon=True).start()
origin = f"http://127.0.0.1:{site.server_port}"
with sync_playwright() as playwright:
    # Tests run as root in containers, where Chromium's sandbox is not to be had; the pages are our own.
    arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", f"--user-agent={AGENT}"]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
    check_journey(browser, origin)
    check_retry(browser, origin)
    check_batches(browser, origin)
    check_consent(browser, origin)
    check_dashboard(browser)
    browser.close()
print("what people do is counted")
