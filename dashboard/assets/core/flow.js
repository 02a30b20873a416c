/* Draws the lines between the boxes of a flow: side to side on a wide page, down the margin where boxes are stacked. */
(function () {
  'use strict';
  const NS = 'http://www.w3.org/2000/svg';

  function box(flow, name) {
    const node = flow.querySelector('[data-node="' + name + '"]');
    if (!node) return null;
    const a = node.getBoundingClientRect(), b = flow.getBoundingClientRect();
    return { left: a.left - b.left, right: a.right - b.left, top: a.top - b.top, bottom: a.bottom - b.top,
      x: a.left - b.left + a.width / 2, y: a.top - b.top + Math.min(a.height / 2, 34) };
  }

  function path(from, to, next, lane) {
    if (to.left >= from.right - 1) { // to the right
      const bend = Math.max(12, (to.left - from.right) / 2);
      return `M${from.right},${from.y} C${from.right + bend},${from.y} ${to.left - bend},${to.y} ${to.left - 2},${to.y}`;
    }
    if (next) { // to the one below
      const x = Math.min(Math.max(from.x, to.left + 12), to.right - 12);
      return `M${x},${from.bottom} L${x},${to.top - 2}`;
    }
    const x = Math.min(from.left, to.left) - 5 - lane * 4; // past others, in the margin
    return `M${from.left},${from.y} C${x},${from.y} ${x},${from.y} ${x},${from.y + 14} ` +
      `L${x},${to.y - 14} C${x},${to.y} ${x},${to.y} ${to.left - 2},${to.y}`;
  }

  function draw(layer) {
    const flow = layer.parentElement;
    const edges = layer.dataset.edges.split(' ').map((edge) => edge.split('>'));
    const others = [...flow.querySelectorAll('[data-node]')].map((node) => box(flow, node.dataset.node));
    let lane = 0;
    const parts = edges.map(([a, b]) => {
      const from = box(flow, a), to = box(flow, b);
      if (!from || !to) return null;
      const below = to.left < from.right - 1;
      const next = below && !others.some((o) => o.top >= from.bottom && o.bottom <= to.top && o.left < from.right && o.right > from.left);
      const state = (name) => flow.querySelector('[data-node="' + name + '"]').dataset;
      const layer = state(b).layer === 'speed' || state(a).layer === 'speed' ? 'speed' : state(b).layer === 'in' ? 'in' : 'batch';
      const stream = ![a, b].some((name) => state(name).computed);
      const off = state(b).state === 'off' || state(a).state === 'off';
      return { d: path(from, to, next, below && !next ? lane++ % 4 : 0), kind: layer + (off ? ' off' : stream ? ' stream' : '') };
    }).filter(Boolean);
    const drawing = JSON.stringify([flow.clientWidth, flow.clientHeight, layer.dataset.moving, parts]);
    if (layer.dataset.drawing === drawing) return;
    layer.dataset.drawing = drawing;
    const svg = document.createElementNS(NS, 'svg');
    svg.setAttribute('width', flow.clientWidth);
    svg.setAttribute('height', flow.clientHeight);
    svg.innerHTML = '<defs><marker id="arrow" viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="7" markerHeight="7" ' +
      'orient="auto"><path d="M0,0.5 L7,4 L0,7.5 z"/></marker></defs>';
    parts.forEach((part) => {
      const line = document.createElementNS(NS, 'path');
      line.setAttribute('d', part.d);
      line.setAttribute('marker-end', 'url(#arrow)');
      line.setAttribute('class', part.kind + (layer.dataset.moving === 'true' ? ' moving' : ''));
      svg.appendChild(line);
    });
    layer.replaceChildren(svg);
  }

  const all = () => document.querySelectorAll('.flow-lines').forEach(draw);
  setInterval(all, 500);
  window.addEventListener('resize', () => requestAnimationFrame(all));
})();
