/* What the page of house sales draws, decades and shape, is kept in its address. */
(function () {
  'use strict';
  function decades(chosen, shape) {
    if (window.location.pathname !== '/houses') return window.dash_clientside.no_update;
    const whole = new URL(window.location.href);
    const wanted = { decade: (chosen || []).join(','), shape: shape === 'lines' ? '' : shape };
    Object.entries(wanted).forEach(([name, value]) => (value ? whole.searchParams.set(name, value) : whole.searchParams.delete(name)));
    window.lake.write(whole.href);
    return window.dash_clientside.no_update;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.houses = Object.assign(window.dash_clientside.houses || {}, { decades });
})();
