/** The build hands style sheets over as texts. */
declare module "*.css" {
  export const text: string;
}
