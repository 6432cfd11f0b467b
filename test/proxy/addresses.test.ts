/** Addresses that no backend has, in every form that an address can be written in. */
import { expect, test } from "vitest";
import { AddressGuard, isAddress, isLoopback, isNetwork } from "../../src/proxy/addresses.ts";

const guard = new AddressGuard();

test.each([
  "169.254.169.254",
  "169.254.0.1",
  "100.100.100.200",
  "168.63.129.16",
  "192.0.0.192",
  "0.0.0.0",
  "0.1.2.3",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "0:0:0:0:0:0:0:0",
  "fe80::1",
  "fe80::1%eth0",
  "febf::1",
  "ff02::1",
  "fd00:ec2::254",
  "FD00:EC2:0:0:0:0:0:254",
  "fd20:ce::254",
  "fd00:42::42",
  // The link-local address of IPv4 inside of IPv6.
  "::ffff:169.254.169.254",
  "::ffff:a9fe:a9fe",
  "0:0:0:0:0:ffff:a9fe:a9fe",
  "::a9fe:a9fe",
  "::169.254.169.254",
  "::ffff:0:169.254.169.254",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b:1::a9fe:a9fe",
  "2002:a9fe:a9fe::1",
  "::ffff:0.0.0.0",
])("%s is no backend's", (address) => {
  expect(guard.problem(address)).toBeTypeOf("string");
});

test.each([
  "127.0.0.1",
  "::1",
  "10.0.0.1",
  "172.16.0.1",
  "192.168.1.1",
  "169.253.255.255",
  "169.255.0.0",
  "100.100.100.201",
  "8.8.8.8",
  "fd00::1",
  "fec0::1",
  "2001:db8::1",
  "::ffff:10.0.0.1",
  "64:ff9b::808:808",
  "2002:808:808::1",
])("%s may be one's", (address) => {
  expect(guard.problem(address)).toBeUndefined();
});

test.each([
  "",
  "localhost",
  "1.2.3",
  "1.2.3.4.5",
  "256.0.0.1",
  "01.2.3.4",
  "0x7f.0.0.1",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1::2::3",
  "1:2:3:4:5:6:7::8",
  ":::",
  "12345::",
  "::1.2.3",
  "1.2.3.4::",
  "g::1",
])("%j is no address, so nothing is connected to", (text) => {
  expect(isAddress(text)).toBe(false);
  expect(guard.problem(text)).toBe("no address");
});

test("what the configuration names is allowed, as an address or in a network, in any form", () => {
  const allowing = new AddressGuard(["169.254.169.254", "fe80::/64"]);
  for (const address of ["169.254.169.254", "::ffff:a9fe:a9fe", "fe80::5"]) {
    expect(allowing.problem(address), address).toBeUndefined();
  }
  for (const address of ["169.254.169.253", "fe80:0:0:1::5"]) {
    expect(allowing.problem(address), address).toBe("a link-local address");
  }
  expect(new AddressGuard(["169.254.8.0/21"]).problem("169.254.15.1")).toBeUndefined();
  expect(new AddressGuard(["169.254.8.0/21"]).problem("169.254.16.1")).toBeTypeOf("string");
});

test("networks are addresses with as many bits as they have at most", () => {
  for (const text of ["10.0.0.0/8", "10.1.2.3", "::/0", "fd00::/8", "::1/128", "0.0.0.0/0"]) {
    expect(isNetwork(text), text).toBe(true);
  }
  for (const text of ["10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "10.0.0.0/", "/8", ""]) {
    expect(isNetwork(text), text).toBe(false);
  }
});

test("this machine is known in every form", () => {
  for (const text of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
    expect(isLoopback(text), text).toBe(true);
  }
  for (const text of ["128.0.0.1", "::2", "10.0.0.1", "localhost"]) {
    expect(isLoopback(text), text).toBe(false);
  }
});
