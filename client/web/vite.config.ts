import { defineConfig } from 'vite';

/** `vite build client/web`; `ops/page.ts` calls the same. */
export default defineConfig({
  // Inlined files and polyfills would need a weaker content security policy.
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
