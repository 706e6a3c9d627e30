// What all modules use of Preact and htm: one place to change when a new version is vendored.

export {
  html,
  render,
  useCallback,
  useEffect,
  useErrorBoundary,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "../vendor/htm-3.1.1/preact.standalone.module.js";
