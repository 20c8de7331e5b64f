"""The app that runs in the browser, and the npm package that it is made with.

Plain files: ``index.js``, ``index.d.ts``, ``lib/`` and ``package.json`` are the package, ``page/`` its first user.
:mod:`mien.web.site` puts them together with the model, the detector and the runtime.
"""
