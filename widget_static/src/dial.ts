// A telephone number as people write it -> as the bridge dials it (pure).

const MAX_LENGTH = 32;
const DIALLABLE = /^\+?[0-9*#]+$/;
/** "+49 (0)30": the zero is dialled only without the country's code. */
const TRUNK_ZERO = /^(\+[^(]*)\(0\)/;
const ORNAMENTS = /[\s()[\]./\\\-\u2010-\u2015\u2212\u00ad\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** The number without ornaments; null when it is none. */
export function dialable(text: string): string | null {
  const bare = text
    .normalize("NFKC")
    .trim()
    .replace(/^(tel|callto):/i, "")
    .replace(TRUNK_ZERO, "$1")
    .replace(ORNAMENTS, "");
  return bare.length <= MAX_LENGTH && DIALLABLE.test(bare) ? bare : null;
}
