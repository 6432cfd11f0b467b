/** The version of the SDK. Tabs share a connection with those of the same version alone. */
export const SDK_VERSION = "0.1.0";
