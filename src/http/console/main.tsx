/** The console: what operators see of a deployment, by the server API and the SDK alone. */
import { render } from "preact";
import { App } from "./app.tsx";
import { text } from "./style.css";

// The page has no inline styles, and asks for no sheet before it is painted.
const sheet = new CSSStyleSheet();
sheet.replaceSync(text);
document.adoptedStyleSheets = [sheet];

render(<App />, document.body);
