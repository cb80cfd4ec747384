export { pollUntil } from '../../bench/reconcile/poll-until.ts';
