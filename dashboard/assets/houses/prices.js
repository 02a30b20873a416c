/* The price page and the map: a link is copied, a point leads to its house, a slider says its value. */
(function () {
  'use strict';
  const noUpdate = () => window.dash_clientside.no_update;
  const dollarless = (value) => value.toLocaleString('en-US', { maximumFractionDigits: 2 });

  function sliderText(value, id) {
    if (value === undefined || value === null) return noUpdate();
    if (id.name.startsWith('sqft')) return dollarless(value) + ' sq ft';
    if (id.name === 'waterfront') return value ? 'yes' : 'no';
    return String(value);
  }

  async function copyLink(_clicks, address) {
    const whole = new URL(address, window.location.href).href;
    try {
      await navigator.clipboard.writeText(whole);
    } catch (_error) { // no permission, or no secure context: the old way
      const box = document.getElementById('price-link');
      box.value = whole;
      box.select();
      document.execCommand('copy');
      box.value = address;
    }
    setTimeout(() => window.dash_clientside.set_props('price-copy', { children: 'Copy' }), 2000);
    return 'Copied';
  }

  function openHouse(clicked) {
    const house = clicked && clicked.points && clicked.points[0] && clicked.points[0].customdata;
    return house ? '/houses/price?id=' + encodeURIComponent(house) : noUpdate();
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.houses = Object.assign(window.dash_clientside.houses || {}, { sliderText, copyLink, openHouse });
})();
