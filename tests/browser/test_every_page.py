"""What holds for each page in a real browser: it is quiet, keeps to itself, reads without eyes, works without a mouse, and fits a phone."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

pytestmark = pytest.mark.browser

NAMES = ("fleet", "anomalies", "day", "jobs", "job", "users", "user", "groups", "machines", "machine", "queue", "cost",
         "alerts", "incident", "data", "definition")  # fmt: skip
MAIN_ACTION = {
    "fleet": "#users tbody a", "anomalies": "#flagged tbody a", "day": "#jobs tbody a", "jobs": "form.filter button",
    "job": "a[href^='/users/']", "users": "#users tbody a", "user": "#jobs tbody a", "groups": "main a[href^='/users']",
    "machines": "#machines tbody a", "machine": "#days tbody a", "queue": "#size_class tbody a", "cost": "#users tbody a",
    "alerts": ".needs a", "incident": "button[value=acknowledge]", "data": "summary", "definition": "summary",
}  # fmt: skip
"""What a visitor comes to a page to press."""

STRUCTURE = """
() => {
  const wrong = [];
  const ask = (holds, words) => { if (!holds) wrong.push(words); };
  const all = selector => [...document.querySelectorAll(selector)];
  ask(document.documentElement.lang === 'en', 'lang');
  ask(document.title.trim().length > 8, 'title');
  ask(all('h1').length === 1 && document.querySelector('main h1').textContent.trim(), 'one h1, in main');
  for (const landmark of ['header', 'main', 'footer']) ask(all(`body > ${landmark}`).length === 1, landmark);
  all('nav').forEach(each => ask(each.getAttribute('aria-label'), 'a nav without a name'));
  let level = 1;
  all('main h1, main h2, main h3, main h4').forEach(each => {
    const own = Number(each.tagName[1]);
    ask(own <= level + 1, `h${own} after h${level}: ${each.textContent}`);
    level = own;
  });
  all('input:not([type=hidden]), select, textarea').forEach(each =>
    ask(each.labels.length || each.getAttribute('aria-label'), `no label: ${each.outerHTML}`));
  all('table').forEach(each => {
    const heads = [...each.querySelectorAll('thead th')];
    ask(heads.length && heads.every(head => head.scope === 'col' && head.textContent.trim()), `heads of ${each.outerHTML.slice(0, 80)}`);
  });
  all('[role=img], svg').forEach(each => ask(each.closest('[aria-hidden=true], [role=img][aria-label]'), `no words: ${each.outerHTML.slice(0, 120)}`));
  all('a, button').forEach(each => ask(each.textContent.trim() || each.getAttribute('aria-label'), `no name: ${each.outerHTML}`));
  const ids = all('[id]').map(each => each.id).filter(id => !id.startsWith('vg-'));
  ask(new Set(ids).size === ids.length, `twice: ${ids.filter((id, i) => ids.indexOf(id) !== i)}`);
  return wrong;
}
"""

CONTRAST = """
() => {
  document.querySelectorAll('details').forEach(each => { each.open = true; });
  const loud = new CSSStyleSheet();
  loud.replaceSync('svg * { pointer-events: auto !important; }');
  document.adoptedStyleSheets = [loud];
  const colour = text => {
    const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number);
    return {r, g, b, a: a ?? 1};
  };
  const over = (top, ground) => {
    const mix = name => top[name] * top.a + ground[name] * (1 - top.a);
    return {r: mix('r'), g: mix('g'), b: mix('b'), a: 1};
  };
  const light = ({r, g, b}) => {
    const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
  const paper = colour(getComputedStyle(document.body).backgroundColor);
  const ground = element => {
    const grounds = [];
    for (let each = element; each; each = each.parentElement) grounds.unshift(colour(getComputedStyle(each).backgroundColor));
    return grounds.reduce((under, each) => over(each, under), paper);
  };
  const fade = element => {
    let a = 1;
    for (let each = element; each; each = each.parentElement) a *= Number(getComputedStyle(each).opacity);
    return a;
  };
  const wrong = new Map();
  let seen = 0, drawn = 0;
  const judge = (element, ink, under, words) => {
    const style = getComputedStyle(element), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    ink.a *= fade(element);
    const found = ratio(over(ink, under), under);
    seen += 1;
    if (found < (large ? 3 : 4.5)) wrong.set(`${element.tagName} ${element.className?.baseVal ?? element.className} ${style.color}/${style.fill}`, `${found.toFixed(2)}: ${words}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const element = node.parentElement, words = node.textContent.trim().slice(0, 40);
    if (!words || ['SCRIPT', 'STYLE', 'OPTION', 'title', 'desc'].includes(element.tagName)) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true})) continue;
    if (element.classList.contains('skip')) continue;
    const style = getComputedStyle(element);
    if (!element.ownerSVGElement) { judge(element, colour(style.color), ground(element), words); continue; }
    drawn += 1;
    const box = element.getBoundingClientRect();
    const below = document.elementsFromPoint(box.x + box.width / 2, box.y + box.height / 2)
      .filter(each => each.ownerSVGElement && /^(path|rect|circle)$/.test(each.tagName)).map(each => ({each, fill: getComputedStyle(each).fill}))
      .filter(({fill}) => fill !== 'none').map(({each, fill}) => {
        const found = colour(fill);
        found.a *= Number(getComputedStyle(each).fillOpacity) * fade(each);
        return found;
      }).reverse();
    judge(element, colour(style.fill), below.reduce((under, each) => over(each, under), ground(element.ownerSVGElement.parentElement)), words);
  }
  return {wrong: [...wrong].map(each => each.join(' ')), seen, drawn};
}
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_the_parts_that_readers_without_eyes_go_by(tab, shown_pages, name):
    page = tab()
    page.visit(shown_pages[name])
    assert page.evaluate(STRUCTURE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(tab, shown_pages, scheme):
    """4.5 to 1, and 3 to 1 for what is large: also the words in pictures, over whatever mark lies below them."""
    page = tab(color_scheme=scheme, height=6000, bypass_csp=True)
    wrong, drawn = {}, 0
    for name in NAMES:
        page.visit(shown_pages[name])
        found = page.evaluate(CONTRAST)
        assert found["seen"] > 20, name
        drawn += found["drawn"]
        if found["wrong"]:
            wrong[name] = found["wrong"]
    assert drawn > 100, "the pictures' words are looked at too"
    assert not wrong


def test_nothing_is_wider_than_a_phone(tab, shown_pages):
    page = tab(width=390, height=844, has_touch=True, is_mobile=True)
    wide = {}
    for name in NAMES:
        page.visit(shown_pages[name])
        width = page.evaluate("() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        if width > 390:
            wide[name] = width
    assert not wide


def test_nothing_moves_for_who_does_not_want_it(tab, shown_pages):
    page = tab(reduced_motion="reduce")
    for name in NAMES:
        page.visit(shown_pages[name])
        moving = page.evaluate("""() => [...document.querySelectorAll('*')].filter(each => {
            const style = getComputedStyle(each);
            return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0 || style.scrollBehavior === 'smooth';
        }).length + document.getAnimations().length""")  # fmt: skip
        assert moving == 0, name


FOCUSED = """
(wanted) => {
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const style = getComputedStyle(each), box = each.getBoundingClientRect();
  return {
    seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1,
    inside: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0 && box.x < innerWidth && box.y < innerHeight,
    wanted: each.matches(wanted), words: each.outerHTML.slice(0, 120), in_main: !!each.closest('main'),
  };
}
"""
MOST_TABS = 260


@pytest.mark.parametrize("name", NAMES)
def test_a_page_works_by_keyboard_alone(tab, shown_pages, name):
    """The first Tab leads to the skip link, Enter past the menu, and further Tabs to what the page is for; one sees where one is."""
    page = tab()
    page.visit(shown_pages[name])
    page.keyboard.press("Tab")
    first = page.evaluate(FOCUSED, ".skip")
    assert {**first, "wanted": True, "inside": True, "seen": True} == first
    page.keyboard.press("Enter")
    for tabs in range(1, MOST_TABS):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED, MAIN_ACTION[name])
        assert found, f"{name}: not reached in {tabs} steps"
        assert found["in_main"] or tabs > 1, "the skip link leads into the content"
        assert {**found, "seen": True, "inside": True} == found, "one sees where one is"
        if found["wanted"]:
            return
    pytest.fail(f"{MAIN_ACTION[name]} is not reached in {MOST_TABS} steps")


def test_a_picture_is_drawn_anew_when_the_window_or_the_light_changes(tab, shown_pages):
    page = tab(color_scheme="light")
    page.visit(shown_pages["fleet"])
    ink = "() => [...document.querySelectorAll('#waterfall svg text')].map(each => getComputedStyle(each).fill)[0]"
    wide = page.evaluate("() => document.querySelector('#waterfall svg').clientWidth")
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => ({ink})() !== '{light}'")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(f"() => document.querySelector('#waterfall svg').clientWidth < {wide} - 400")


class _Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.ids = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.add(given.get("id"))
        for name in ("href", "src", "action"):
            if given.get(name) and (tag, given.get("method")) != ("form", "post"):
                self.found.add(given[name])


MOST_ADDRESSES = 170


def _kind(address):
    there = urlsplit(address)
    path = re.sub(r"^(/(?:machines|users|jobs|days|alerts|definition)/).+", r"\1…", there.path)
    return path, *sorted(part.partition("=")[0] for part in there.query.split("&"))


def test_every_link_leads_somewhere(site):
    """From the front page on, each kind of address first, to a bound; a link into a page finds its place there."""
    waiting, met, kinds, dead = ["/"], {"/"}, set(), []
    asked = 0
    while waiting and asked < MOST_ADDRESSES:
        waiting.sort(key=lambda each: _kind(each) in kinds)
        address = waiting.pop(0)
        kinds.add(_kind(address))
        asked += 1
        try:
            with urllib.request.urlopen(site + address, timeout=60) as answer:
                is_page = answer.headers["content-type"].startswith("text/html")
                text = answer.read().decode() if is_page else ""
        except urllib.error.HTTPError as error:
            dead.append((error.code, address))
            continue
        links = _Links(text)
        for link in links.found:
            there = urlsplit(urljoin(site + address, link))
            assert f"{there.scheme}://{there.netloc}" == site, f"{address} leads out: {link}"
            onward = there.path + (f"?{there.query}" if there.query else "")
            if there.fragment and onward == address and there.fragment not in links.ids:
                dead.append((there.fragment, address))
            if onward not in met:
                met.add(onward)
                waiting.append(onward)
    assert not dead
    assert {"/", "/anomalies", "/jobs", "/users", "/machines", "/queue", "/cost", "/alerts", "/data", "/days/…", "/jobs/…",
            "/users/…", "/machines/…", "/definition/…", "/alerts/…"} <= {kind[0] for kind in kinds}  # fmt: skip
