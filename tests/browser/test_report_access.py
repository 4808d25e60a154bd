"""The HTML report for all readers: themes, contrast, keyboard, phone, print, and no network."""

import pytest

# The contrast of each text with the ground that it stands on (WCAG 2), below the given bound.
LOW_CONTRAST = """bound => {
  const part = (value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const parsed = (colour) => (colour.match(/[0-9.]+/g) || []).map(Number);
  const bright = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parsed(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    if (element.closest("svg, script, style, noscript, optgroup")) continue;
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own) continue;
    const [a, b] = [bright(parsed(getComputedStyle(element).color)), bright(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < bound) found.push([element.outerHTML.slice(0, 90), contrast]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast_in_both_themes(visit, report, scheme):
    page = visit(report, scheme=scheme)
    page.locator("tr[data-run] th button").first.click()
    assert page.evaluate(LOW_CONTRAST, 4.5) == []
    assert page.evaluate(LOW_CONTRAST, 21.1) != []  # the check itself can fail
    page.click("#theme")
    assert page.evaluate(LOW_CONTRAST, 4.5) == []


def test_theme_follows_system_until_chosen(visit, report):
    ground = "getComputedStyle(document.body).backgroundColor"
    chart = "plot => plot.layout.paper_bgcolor"
    light, dark = visit(report), visit(report, scheme="dark")
    assert light.evaluate(ground) != dark.evaluate(ground)
    white = light.evaluate(ground)
    assert dark.get_attribute("#theme", "aria-pressed") == "true"
    light.emulate_media(color_scheme="dark")
    assert light.evaluate(ground) == dark.evaluate(ground)
    before = dark.locator("#scatter").evaluate(chart)
    dark.click("#theme")
    assert dark.evaluate(ground) == white
    assert dark.locator("#scatter").evaluate(chart) != before
    dark.click("#theme")
    assert dark.locator("#scatter").evaluate(chart) == before


def test_phone_has_no_horizontal_scrolling(visit, report):
    page = visit(report, width=390, height=844, scheme="dark")
    page.locator("tr[data-run] th button").first.click()
    for part in ("#scatter", "#parallel", "#view", "#origin"):
        page.locator(part).scroll_into_view_if_needed()
        page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator("#run-box")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")


def test_keyboard_reaches_runs_first(visit, report):
    page = visit(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the table of runs"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "filter"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


def test_controls_have_names_and_landmarks(visit, report):
    page = visit(report)
    for role in ("banner", "navigation", "main"):
        assert page.get_by_role(role).count() == 1, role
    for selector in ("select", "input:not(.choices input)", "button"):
        for control in page.locator(f"{selector}:visible").all():
            name = control.evaluate(
                "e => e.labels?.[0]?.textContent || e.textContent || e.getAttribute('aria-label')"
            )
            assert name.strip(), control.evaluate("e => e.outerHTML")
    assert page.locator("img:not([alt])").count() == 0
    assert page.get_attribute("html", "lang") == "en"


def test_reduced_motion_is_respected(visit, report):
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit(report).evaluate(behaviour) == "smooth"
    assert visit(report, motion="reduce").evaluate(behaviour) == "auto"


def test_print_is_light_and_shows_every_row(visit, report):
    page = visit(report, scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    box = page.locator("#run-box")
    assert box.evaluate("box => getComputedStyle(box).overflow") == "visible"
    assert page.locator("tr[data-run]").count() == 18
    assert page.locator("nav").is_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"


def test_page_cannot_reach_the_network(chromium, report):
    page = chromium.new_page()
    page.goto(report.as_uri())
    blocked = page.evaluate(
        """async () => {
          const tried = [fetch("https://example.org/"), import("https://example.org/a.js")];
          const image = new Image();
          tried.push(new Promise((done, fail) => { image.onload = done; image.onerror = fail; }));
          image.src = "https://example.org/a.png";
          const made = document.createElement("script");
          made.textContent = "window.injected = true";
          document.body.append(made);
          const ends = (await Promise.allSettled(tried)).map((one) => one.status);
          return [...ends, window.injected === undefined];
        }"""
    )
    assert blocked == ["rejected"] * 3 + [True]
    page.close()
