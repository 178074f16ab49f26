// Follows what is written while its reader is at the bottom. Else the view holds still.

import {element} from "./dom.js";

const NEAR_PX = 60;

/** @param {HTMLElement} talk what grows @param {HTMLElement} jump the button that leads to its end */
export function follower(talk, jump) {
  const end = element("div", {class: "talk-end", "aria-hidden": "true"});
  talk.append(end);
  let near = true, last = 0;
  new IntersectionObserver(([entry]) => {
    near = entry.isIntersecting;
    jump.hidden = near;
  }, {rootMargin: `0px 0px ${NEAR_PX}px 0px`}).observe(end);
  const down = () => {
    const scroller = document.scrollingElement ?? document.body;
    scroller.scrollTop = scroller.scrollHeight;
    last = scroller.scrollTop;
  };
  const toEnd = () => {
    near = true;
    down();
  };
  // An observer tells of it after the next painting, which would have pulled a reader down again.
  addEventListener("scroll", () => {
    const {scrollTop, scrollHeight, clientHeight} = document.scrollingElement ?? document.body;
    const left = scrollHeight - scrollTop - clientHeight;
    if (left <= 1) near = true;
    else if (scrollTop < last) near = false;
    last = scrollTop;
  });
  const keep = () => { if (near) down(); };
  // A phone that turns, its keyboard, and a composer that grows leave a reader who is at the bottom there.
  addEventListener("resize", keep);
  new ResizeObserver(keep).observe(/** @type {Element} */ (jump.parentElement));
  jump.addEventListener("click", toEnd);
  return {toEnd, keep};
}
