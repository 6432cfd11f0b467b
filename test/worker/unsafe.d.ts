/** What workerd has for tests, with the flag `unsafe_module` and `--experimental`. */
declare module "workerd:unsafe" {
  const unsafe: {
    evictAllDurableObjects(options: { readonly webSockets: "close" | "hibernate" }): Promise<void>;
    abortAllDurableObjects(): Promise<void>;
  };
  export default unsafe;
}
