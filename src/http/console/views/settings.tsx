/** The settings that are in force, and where each comes from. */
import { useState } from "preact/hooks";
import { useAnswer } from "../hooks.ts";
import { Table } from "../parts/table.tsx";
import { Name, Problem } from "../parts/text.tsx";
import type { Setting } from "../server-api.ts";

export function Settings() {
  const [wanted, setWanted] = useState("");
  const [isAll, setAll] = useState(false);
  const { answer, problem } = useAnswer(
    (api, signal) => api.call("Settings", {}, signal),
    "settings",
  );
  const { settings = [] } = answer ?? {};
  const words = wanted.toLowerCase().trim();
  const shown = settings.filter(
    ({ path, source, value = "" }) =>
      (isAll || words !== "" || source !== "default") &&
      `${path} ${value}`.toLowerCase().includes(words),
  );
  return (
    <section aria-labelledby="title">
      <h1 id="title" tabIndex={-1}>
        Settings in force
      </h1>
      <form class="row" onSubmit={(event) => event.preventDefault()}>
        <label class="grow">
          Find
          <input
            id="wanted"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            placeholder="limits"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        </label>
        <label class="check tall">
          <input
            id="all"
            type="checkbox"
            checked={isAll}
            onChange={(event) => setAll(event.currentTarget.checked)}
          />
          Defaults as well
        </label>
      </form>
      <Problem text={problem} />
      {answer === undefined ? null : shown.length === 0 ? (
        <p class="empty">
          {words === "" ? "Every setting has its default." : "No setting is called so."}
        </p>
      ) : (
        <Table
          caption="Settings with their values and where they come from"
          columns={["Setting", "Value", "From"]}
          rows={shown.map((setting) => [
            <Name key="path" of={setting.path} />,
            <Value key="value" setting={setting} />,
            <From key="from" setting={setting} />,
          ])}
        />
      )}
    </section>
  );
}

function Value({ setting: { secret = false, value = "" } }: { readonly setting: Setting }) {
  if (secret) return <span class="quiet">a secret, not shown</span>;
  return <Name of={value === "" ? "“”" : value} most={4_096} />;
}

function From({ setting: { origin = "", source } }: { readonly setting: Setting }) {
  return (
    <>
      {source}
      {origin === "" ? null : (
        <span class="quiet">
          {" "}
          <Name of={origin} />
        </span>
      )}
    </>
  );
}
