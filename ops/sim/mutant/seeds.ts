/** The seed that sees each planted mistake first. Written by `./hongbao sim --record`. */
export const SEEDS: Readonly<Record<string, number>> = {
  'one-write-is-enough': 1,
};
