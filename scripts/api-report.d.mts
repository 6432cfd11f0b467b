/** The folder of the reports. */
export const folder: string;
/** Path below it to the text of each report, as the declarations in dist/lib have it. */
export function reports(): ReadonlyMap<string, string>;
