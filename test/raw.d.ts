/** Vite's way to a file's text, which works in Node and in workerd alike. */
declare module "*?raw" {
  const text: string;
  export default text;
}
