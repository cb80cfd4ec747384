/** A field is named by so many parts at least, such as `/spec/template/spec`: what lies higher is much of an object. */
const fewestParts = 3;

/** Whether a JSON pointer names so much of an object that nobody may look away from it: for checks, rules and policy alike. */
export const isWidePath = (path: string): boolean => path.includes('*') || path.split('/').length - 1 < fewestParts;
