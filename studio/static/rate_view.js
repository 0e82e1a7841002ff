// The learning rate on a logarithmic scale. No access to the page.
// @ts-check

export const [LEAST, MOST] = [-6, -2]; // powers of ten

/** The place of a rate on the scale. @param {number} rate */
export const placeOf = (rate) => Math.min(Math.max(Math.log10(rate), LEAST), MOST);

/** The rate at a place, with two digits. @param {number} place */
export const rateAt = (place) => Number((10 ** place).toPrecision(2));

/** How far along the scale a rate is, in percent. @param {number} rate */
export const percentOf = (rate) => (100 * (placeOf(rate) - LEAST)) / (MOST - LEAST);

/** A rate as people write it: 2e-4. @param {number} rate */
export const written = (rate) => rate.toExponential().replace(/e([+-])/, (_, sign) => (sign === "-" ? "e-" : "e"));
