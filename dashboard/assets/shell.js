/* Theme, navigation, what a figure keeps when it is renewed, and the one table too long to be sent as components. */
(function () {
  'use strict';
  const CHOICES = ['auto', 'light', 'dark'];
  const NAMES = { auto: 'as the system', light: 'light', dark: 'dark' };
  const system = window.matchMedia('(prefers-color-scheme: dark)');

  const choice = () => window.lake.theme();
  const scheme = () => (choice() === 'auto' ? (system.matches ? 'dark' : 'light') : choice());

  function label() {
    const button = document.getElementById('theme-toggle');
    document.documentElement.dataset.themeChoice = choice();
    document.documentElement.dataset.agThemeMode = scheme();
    if (!button) return;
    button.title = 'Theme: ' + NAMES[choice()];
    button.setAttribute('aria-label', 'Theme: ' + NAMES[choice()] + '. Change it.');
  }

  function theme(clicks) {
    if (clicks) window.lake.chooseTheme(CHOICES[(CHOICES.indexOf(choice()) + 1) % CHOICES.length]);
    label();
    return [scheme(), scheme()];
  }

  system.addEventListener('change', () => {
    if (choice() !== 'auto' || !window.dash_clientside.set_props) return;
    label();
    window.dash_clientside.set_props('scheme', { data: scheme() });
    window.dash_clientside.set_props('mantine', { forceColorScheme: scheme() });
  });

  function navigation(opened, navbar) {
    return Object.assign({}, navbar, { collapsed: { mobile: !opened } });
  }

  const closed = () => false;

  // Hidden lines Plotly keeps by itself while uirevision stays; the zoom it does not under Dash.
  function keepView(figure, id) {
    if (!figure) return window.dash_clientside.no_update;
    const shown = document.querySelector('#' + id + ' .js-plotly-plot');
    if (figure.layout.map) return keepMap(figure, shown);
    if (!shown || !shown.layout || shown.layout.uirevision !== figure.layout.uirevision) return figure;
    Object.keys(figure.layout).filter((name) => /^[xy]axis\d*$/.test(name)).forEach((axis) => {
      const { autorange, range } = shown.layout[axis] || {};
      if (autorange === false && range) Object.assign(figure.layout[axis], { autorange, range: [...range] });
    });
    return figure;
  }

  // A map is drawn anew where it was; first it is drawn to fit, which on a phone is half the size.
  function keepMap(figure, shown) {
    const now = shown && shown._fullLayout;
    if (now && now.map && now.uirevision === figure.layout.uirevision) {
      Object.assign(figure.layout.map, { center: { ...now.map.center }, zoom: now.map.zoom });
    } else if (window.innerWidth < 700) {
      figure.layout.map.zoom -= 1;
    }
    figure.layout.map.layers = window.lake.mapLayers();
    if (now && now.map) figure.layout.dragmode = now.dragmode;
    return figure;
  }

  function cell(row, field, text, value) {
    const td = row.querySelector('[data-field="' + field + '"]') || row.appendChild(document.createElement('td'));
    td.dataset.field = field;
    td.className = value === undefined ? 'text' : 'number';
    if (value !== undefined) td.dataset.value = String(value);
    if (td.textContent !== text) td.textContent = text;
  }

  function windowRows(rows) {
    const body = document.getElementById('houses-windows-rows');
    if (!body || !rows) return window.dash_clientside.no_update;
    const known = new Map([...body.rows].map((row) => [row.dataset.window + '|' + row.dataset.decade, row]));
    rows.forEach(([start, decade, average, sales, state, layer], place) => {
      const key = start + '|' + decade;
      const row = known.get(key) || document.createElement('tr');
      known.delete(key);
      row.dataset.window = start;
      row.dataset.decade = decade;
      cell(row, 'window_start', start.slice(11, 19));
      cell(row, 'decade', decade + 's');
      cell(row, 'avg_price', '$' + Math.round(average).toLocaleString('en-US'), average);
      cell(row, 'sales', sales.toLocaleString('en-US'), sales);
      cell(row, 'state', state);
      cell(row, 'layer', layer);
      if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] || null);
    });
    known.forEach((row) => row.remove());
    return rows.length + ' windows';
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.lake = Object.assign(window.dash_clientside.lake || {}, { theme, navigation, closed, keepView, windowRows });
})();
