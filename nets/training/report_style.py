"""The style sheet of the report, for light and dark screens."""

STYLE = """
:root { color-scheme: light dark; --back: #fbfbfa; --card: #ffffff; --ink: #1d1f24; --soft: #676d78;
  --line: #e3e4e8; --blue: 43, 103, 196; --red: 200, 54, 44;
  --gold: 190, 120, 10; }
@media (prefers-color-scheme: dark) { :root { --back: #14161a; --card: #1c1f25; --ink: #e8eaee; --soft:
  #9aa1ad; --line: #30343d; --blue: 104, 158, 240; --red: 240, 108, 96;
  --gold: 226, 170, 70; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 36px 20px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 2px; } h3 { font-size: 15px; margin: 6px 0 4px; }
.note { color: var(--soft); margin: 0 0 12px; overflow-wrap: anywhere; }
section { margin-top: 20px; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 18px 20px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 12px 16px; }
.tile b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
  gap: 16px 28px; }
figure { margin: 0; } figcaption { font-size: 13px; color: var(--soft); }
svg { width: 100%; height: auto; display: block; }
.grid { stroke: var(--line); } .tick { fill: var(--soft); font-size: 11px; }
@media (max-width: 600px) { .tick { font-size: 15px; } }
.curve { fill: none; stroke: rgb(var(--hue)); stroke-width: 1.8; stroke-linejoin: round; }
.curve-0 { --hue: var(--blue); } .curve-1 { --hue: var(--gold); } .dot { fill: rgb(var(--hue)); }
.mark { fill: none; stroke: rgb(var(--red)); stroke-width: 1.8; }
.legend { margin-left: 12px; white-space: nowrap; }
.legend i { display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 5px;
  vertical-align: middle; background: rgb(var(--hue)); }
.bars { display: grid; grid-template-columns: minmax(40px, max-content) 1fr max-content max-content;
  gap: 4px 12px; align-items: center; }
.bars .name { max-width: 240px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bars .note { margin: 0; }
.bar { background: var(--line); border-radius: 4px; height: 10px; overflow: hidden; }
.bar i { display: block; height: 100%; background: rgb(var(--blue)); border-radius: 4px; }
.number { text-align: right; font-variant-numeric: tabular-nums; font-size: 13px; }
.side { display: flex; flex-wrap: wrap; gap: 8px 48px; } .scroll { overflow-x: auto; }
table.matrix { border-collapse: separate; border-spacing: 2px; font-size: 13px;
  font-variant-numeric: tabular-nums; }
.matrix th { font-weight: 500; color: var(--soft); padding: 2px 8px; max-width: 160px; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; text-align: right; }
.matrix thead th { text-align: center; max-width: 80px; vertical-align: bottom; padding: 2px; }
.matrix tbody td { min-width: 38px; height: 30px; padding: 0 6px; text-align: center; border-radius: 4px; }
.matrix .right { background: rgba(var(--blue), calc(var(--share) * .85 + .05)); }
.matrix .wrong { background: rgba(var(--red), calc(var(--share) * .9)); }
.matrix .strong { color: #fff; } @media (prefers-color-scheme: dark) { .matrix .strong { color: #10131a; } }
table.list { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
.list th, .list td { text-align: left; vertical-align: top; padding: 5px 20px 5px 0;
  border-top: 1px solid var(--line); }
.list th { font-weight: 500; } .list th, .list td:first-child { color: var(--soft); }
.list td { overflow-wrap: anywhere; min-width: 64px; } .list td:first-child { min-width: 112px; }
.list.whole td { white-space: nowrap; min-width: 0; }
.list tr:first-child > * { border-top: 0; }
details { margin-top: 10px; } summary { cursor: pointer; color: var(--soft); font-size: 13px; }
pre { margin: 8px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; }
img.matrix { width: 100%; max-width: 720px; image-rendering: pixelated; border: 1px solid var(--line); }
.pairs { margin: 0; padding-left: 22px; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 14px; }
.card { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
.card img { display: block; width: 100%; height: 140px; object-fit: contain; image-rendering: pixelated;
  background: var(--line); }
.card figcaption { padding: 8px 10px; line-height: 1.4; }
.card small { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row { display: flex; gap: 4px; } .row img { flex: 1; min-width: 0; max-height: 240px; object-fit: contain;
  image-rendering: pixelated; background: var(--line); border-radius: 6px; }
.true { color: var(--ink); font-weight: 600; } .false { color: rgb(var(--red)); font-weight: 600; }
"""
