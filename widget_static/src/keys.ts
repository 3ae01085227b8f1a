// The keys of a telephone (pure).

export const DIGITS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"] as const;

export type Digit = (typeof DIGITS)[number];

/** The key that a text names; null when it is none. */
export function digitOf(text: string): Digit | null {
  return DIGITS.find((digit) => digit === text) ?? null;
}
