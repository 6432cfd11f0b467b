import { useData } from "vitepress";
import DefaultTheme from "vitepress/theme";
import { onMounted, watch } from "vue";
import CostCalculator from "../../calculator/CostCalculator.vue";
import "./style.css";

/** Pages have a `main`, but for the front page, whose content is made one here. */
function markFrontPage(): void {
  const { frontmatter } = useData();
  onMounted(() => {
    const mark = (): void => {
      const content = document.getElementById("VPContent");
      if (frontmatter.value["layout"] === "home") content?.setAttribute("role", "main");
      else content?.removeAttribute("role");
    };
    watch(frontmatter, mark, { immediate: true, flush: "post" });
  });
}

export default {
  extends: DefaultTheme,
  setup: markFrontPage,
  enhanceApp({ app }) {
    app.component("CostCalculator", CostCalculator);
  },
} satisfies import("vitepress").Theme;
