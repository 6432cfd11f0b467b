import DefaultTheme from "vitepress/theme";
import CostCalculator from "../../calculator/CostCalculator.vue";
import "./style.css";

export default {
  extends: DefaultTheme,
  enhanceApp({ app }) {
    app.component("CostCalculator", CostCalculator);
  },
} satisfies import("vitepress").Theme;
