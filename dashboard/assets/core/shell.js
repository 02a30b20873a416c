/* Theme, navigation, and what a figure keeps when it is renewed. */
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
    if (figure.layout.map) return keepMap(figure, shown, id);
    if (!shown || !shown.layout || shown.layout.uirevision !== figure.layout.uirevision) return figure;
    Object.keys(figure.layout).filter((name) => /^[xy]axis\d*$/.test(name)).forEach((axis) => {
      const { autorange, range } = shown.layout[axis] || {};
      if (autorange === false && range) Object.assign(figure.layout[axis], { autorange, range: [...range] });
    });
    return figure;
  }

  // A map is drawn again where it was; the first time it is drawn to fit, which on a phone is half the size.
  function keepMap(figure, shown, id) {
    const now = shown && shown._fullLayout;
    if (now && now.map && now.uirevision === figure.layout.uirevision) {
      Object.assign(figure.layout.map, { center: { ...now.map.center }, zoom: now.map.zoom });
    } else if (window.innerWidth < 700) {
      figure.layout.map.zoom -= 1;
    }
    const layers = (window.lake.mapLayers || {})[id]; // a page's own, by the id of its map
    if (layers) figure.layout.map.layers = layers();
    if (now && now.map) figure.layout.dragmode = now.dragmode;
    return figure;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.lake = Object.assign(window.dash_clientside.lake || {}, { theme, navigation, closed, keepView });
})();
