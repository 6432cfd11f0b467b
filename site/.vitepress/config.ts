import { defineConfig } from "vitepress";
import { SECTIONS } from "../navigation.ts";
import { REPOSITORY } from "../pages.ts";

/** Anchors are those of GitHub, so that a link is good in both places. */
export function slugify(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}_\- ]/gu, "")
    .replaceAll(" ", "-");
}

export default defineConfig({
  title: "MessageLoop",
  description: "Realtime messaging on Cloudflare Workers, or on your own machines",
  lang: "en",
  srcDir: "dist/pages",
  outDir: "dist/site",
  cacheDir: "dist/cache",
  // What a reader's own machine serves.
  ignoreDeadLinks: "localhostLinks",
  // Else the compiler reads that of the repository, whose target is newer than it is.
  vite: { esbuild: { target: "es2022", tsconfigRaw: { compilerOptions: { target: "es2022" } } } },
  markdown: {
    anchor: { slugify },
    // Colours with enough contrast.
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
  },
  themeConfig: {
    nav: [
      { text: "Quickstart", link: "/quickstart" },
      { text: "Guides", link: "/guides/chat" },
      { text: "Reference", link: "/reference/sdk/" },
      { text: "Cost", link: "/cost-calculator" },
    ],
    sidebar: SECTIONS.map(({ text, items }) => ({ text, items: [...items] })),
    outline: { level: [2, 3] },
    search: { provider: "local" },
    socialLinks: [{ icon: "github", link: REPOSITORY }],
  },
});
