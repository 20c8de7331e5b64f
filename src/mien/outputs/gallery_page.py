"""The page around a gallery's cards: its style, its script and the words that are always there."""

from __future__ import annotations

import base64
import hashlib

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --dim: #66666b; --paper: #f6f6f4; --card: #fff; --edge: #dcdcd8 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #f0f0ee; --dim: #a5a5aa; --paper: #161617; --card: #222224; --edge: #3a3a3d } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.4 system-ui, sans-serif }
header { position: sticky; top: 0; z-index: 2; background: var(--paper); border-bottom: 1px solid var(--edge);
  padding: 10px 16px }
h1 { font-size: 15px; font-weight: 600; margin: 0 0 8px }
nav { display: flex; gap: 6px; overflow-x: auto; padding-bottom: 2px }
button { flex: none; display: flex; align-items: center; gap: 6px; min-height: 34px; padding: 4px 12px; font: inherit;
  color: inherit; background: var(--card); border: 1px solid var(--edge); border-radius: 17px; cursor: pointer }
button b { font-weight: 500; color: var(--dim) }
button[aria-pressed=true] { background: var(--ink); color: var(--paper); border-color: var(--ink) }
button[aria-pressed=true] b { color: inherit }
main { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 14px; padding: 16px }
main::after { content: ""; flex: 100000 1 0 }
.card { margin: 0; background: var(--card); border: 1px solid var(--edge); border-radius: 10px; overflow: hidden;
  flex: calc(var(--r, 1) * 100) 1 calc(var(--r, 1) * 210px); max-width: min(100%, calc(var(--r, 1) * 340px)) }
.card[hidden] { display: none }
.card.wide { flex: 1 1 100%; max-width: 100%; display: flex; flex-direction: column; padding-bottom: 10px }
.card.wide figcaption { order: -1; margin: 8px 12px 6px }
.view { position: relative; display: block; overflow: hidden; background: #0002 }
.view img { display: block; width: 100%; height: auto }
.box { position: absolute; border: 2px solid var(--c); border-radius: 4px; box-shadow: 0 0 0 1px #000a,
  inset 0 0 0 1px #000a }
.box.dim { opacity: .25 }
.faces, .key p { display: flex; flex-wrap: wrap; gap: 2px 12px; margin: 8px 10px 0 }
.faces > span, .key p > span { display: inline-flex; align-items: center; gap: 6px; white-space: nowrap }
.dot { width: 10px; height: 10px; border-radius: 5px; background: var(--c); box-shadow: 0 0 0 1px #0004; flex: none }
figcaption { margin: 2px 10px 9px; color: var(--dim); font-size: 13px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis }
.error { margin: 12px 10px 4px; overflow-wrap: anywhere }
.timeline { margin: 0 12px 12px }
.timeline p { margin: 4px 0 0; color: var(--dim) }
.row { display: flex; align-items: center; gap: 10px; margin-bottom: 4px }
.row > span { flex: none; width: 52px; color: var(--dim); font-size: 13px }
.line { position: relative; flex: 1; height: 22px; border: 1px dashed var(--edge); border-radius: 4px;
  overflow: hidden }
.line a { position: absolute; top: 0; bottom: 0; min-width: 2px; background: var(--c) }
.line a.dim { opacity: .15 }
.ends > div { flex: 1; display: flex; justify-content: space-between; color: var(--dim); font-size: 12px }
.keys { display: flex; flex-wrap: wrap; gap: 10px; padding: 0 12px }
.key { flex: 0 1 calc(var(--r) * 128px); scroll-margin-top: 110px; border-radius: 6px; overflow: hidden }
.key p { margin: 4px 2px; align-items: baseline }
.key small { color: var(--dim) }
.key:target { outline: 3px solid var(--ink); outline-offset: 2px }
footer { padding: 0 16px 24px; color: var(--dim); font-size: 13px; max-width: 70ch }
a:focus-visible, button:focus-visible { outline: 3px solid #2d7dc8; outline-offset: 2px }
@media (max-width: 480px) { main { padding: 10px; gap: 10px } header { padding: 8px 10px } .card { max-width: 100% }
  .key { flex-basis: calc(50% - 5px) } }
"""

_SCRIPT = """
const buttons = [...document.querySelectorAll("nav button")];
const cards = [...document.querySelectorAll(".card")];
for (const button of buttons) button.onclick = () => {
  const word = button.dataset.show;
  for (const other of buttons) other.setAttribute("aria-pressed", other === button);
  for (const card of cards) card.hidden = word !== "*" && !card.dataset.shows.split(" ").includes(word);
  for (const box of document.querySelectorAll("[data-is]"))
    box.classList.toggle("dim", word !== "*" && box.dataset.is !== word);
};
"""


def page(counts: str, buttons: str, cards: int) -> tuple[str, str]:
    """What stands before and after the cards.

    Args:
        counts: what was read, plain text.
        buttons: the filters, HTML.
        cards: how many there are.
    """
    allowed = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    before = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>Expressions: {counts}</title>
<style>{_STYLE}</style>
<header>
<h1>{counts}</h1>
<nav aria-label="Show only"><button type="button" data-show="*" aria-pressed="true">all <b>{cards:,}</b></button>
{buttons}</nav>
</header>
<main>
"""
    after = f"""</main>
<footer>Read by mien: expressions as strangers would name them, not feelings. A box shows a face, its color the most
probable expression.</footer>
<script>{_SCRIPT}</script>
</html>
"""
    return before, after
