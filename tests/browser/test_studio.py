"""Studio in a real browser: jobs end before their reader's eyes, and works open large."""

import re

import psycopg
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Member, NewMember
from tests.browser.filled import ended
from tests.support.stack import Stack
from tests.support.watched_page import Watched, copied

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = 60_000
"""Milliseconds. How long a job of a demo may take on a busy machine."""
PROMPT = "A lake at dawn"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def member(whole_site: Stack, new_member: NewMember) -> Member:
    return await new_member(whole_site, permissions=["clipboard-read", "clipboard-write"])


async def started(member: Member, kind: str, model: str, **fields: object) -> str:
    text = {"input": PROMPT, "voice": "ash"} if kind == "speech" else {"prompt": PROMPT}
    job = await member.post(f"/api/media/{kind}/", {"model": model, **text, **fields})
    return str(job["job_uuid"])


async def charged(member: Member, job: str) -> int:
    return int((await member.api.get(f"/api/billing/charges/{job}/")).json()["credits"]["charged"])


async def test_a_job_is_ordered_and_ends_on_the_page(member: Member, whole_site: Stack) -> None:
    watched = await Watched.of(member.context, whole_site.url)
    page = watched.page
    await watched.open("/studio/image?model=demo-image-slow")
    await page.get_by_label("Prompt").fill(f"[seconds=60] {PROMPT}")
    await expect(page.locator("#call")).to_contain_text(PROMPT)
    await page.get_by_label("Prompt").press("Control+Enter")
    card = page.locator("yout-job")
    await expect(card.locator(".steps li")).to_have_text(["Credits held", "Sent", "Rendering", "Checking", "Ready"])
    await expect(card).to_contain_text(PROMPT)
    await expect(page.locator(".funds")).to_contain_text("held")
    await card.get_by_role("button", name="Cancel").click()
    await expect(page.locator("yout-job, .work").first).to_contain_text(
        re.compile("Cancelled|came back|charged"), timeout=LONG
    )
    await expect(page.locator(".funds")).not_to_contain_text("held", timeout=LONG)

    await started(member, "image", "demo-image-fail")
    await watched.open("/studio/image")
    await expect(page.locator("yout-job[data-ended], .work").first).to_contain_text("came back", timeout=LONG)
    await expect(page.locator(".funds")).not_to_contain_text("held", timeout=LONG)
    assert watched.faults == []
    await page.close()


SETTINGS = {"image": ("#size", "256x256"), "video": ("#seconds", "1"), "speech": ("#voice", "nova")}


@pytest.mark.parametrize("kind", SETTINGS)
async def test_what_is_started_is_a_work_of_every_tab(kind: str, whole_site: Stack, new_member: NewMember) -> None:
    member = await new_member(whole_site)
    watched = await Watched.of(member.context, whole_site.url)
    page, (setting, value) = watched.page, SETTINGS[kind]
    await watched.open(f"/studio/{kind}?model=demo-{kind}")
    field, text = page.locator(setting), page.locator("textarea.main-text")
    await (field.select_option(value) if kind == "speech" else field.fill(value))
    await text.fill(PROMPT)
    await text.press("Control+Enter")
    await page.wait_for_url(re.compile("#job-"))
    await expect(field).to_have_value(value)
    await expect(text).to_have_value("")
    place = f"[id='{page.url.rpartition('#')[2]}']"
    await expect(page.locator(place)).to_contain_text(PROMPT)
    await expect(page.locator(place)).to_contain_text(re.compile(r"[\d,]+\s(charged|credits)"), timeout=LONG)
    assert await watched.layout_shifts() + watched.faults == []
    await page.close()

    later = await Watched.of(member.context, whole_site.url)
    await later.open(f"/studio/{kind}")
    tile = later.page.locator(f".work{place}")
    await expect(tile.locator(".picture :is(img, video, svg.wave)")).to_be_visible()
    await expect(tile.locator(".caption")).to_contain_text(f"Demo {kind}")
    await expect(later.page.locator(setting)).not_to_have_value(value)
    assert later.faults == []
    await later.page.close()


@pytest.mark.parametrize("kind", ["image", "video", "speech"])
async def test_price_and_button_are_seen_without_scrolling(kind: str, member: Member, whole_site: Stack) -> None:
    watched = await Watched.of(member.context, whole_site.url)
    await watched.open(f"/studio/{kind}")
    for part in (watched.page.get_by_role("button", name=f"Make {kind}"), watched.page.locator("yout-quote")):
        await expect(part).to_be_in_viewport(ratio=1)
    last = watched.page.locator("#order .fields summary").last
    await last.press("Enter")
    await expect(watched.page.locator("#webhook_url")).to_be_visible()
    await watched.page.locator("#webhook_url").focus()
    hidden = await watched.page.evaluate("""() => {
      const {left, bottom} = document.activeElement.getBoundingClientRect();
      return document.elementFromPoint(left + 9, bottom - 2) !== document.activeElement;
    }""")
    assert not hidden
    await watched.page.close()


async def test_a_button_that_is_pressed_stays_until_it_is_released(member: Member, whole_site: Stack) -> None:
    watched = await Watched.of(member.context, whole_site.url)
    page = watched.page
    job = await started(member, "image", "demo-image-slow", prompt=f"[seconds=60] {PROMPT}")
    await watched.open(f"/studio/jobs/{job}")
    card = page.locator("yout-job")
    cancel = card.get_by_role("button", name="Cancel")
    await expect(card).to_have_attribute("data-key", re.compile("running-.*-percent"), timeout=LONG)
    await cancel.hover()
    await page.mouse.down()
    pressed = await cancel.element_handle()
    async with page.expect_request_finished(lambda request: request.url.endswith(f"/studio/jobs/{job}")):
        await card.evaluate("card => card.show({status: 'running', phase: 'other', progress: null})")
    assert pressed is not None
    assert await pressed.evaluate(
        "button => new Promise(resolve => setTimeout(() => resolve(button.isConnected), 100))"
    )
    await page.mouse.up()
    await expect(card).to_contain_text("Cancelled", timeout=LONG)
    assert watched.faults == []
    await page.close()


@pytest.mark.parametrize("kind", ["image", "speech"])
async def test_the_price_follows_the_balance(kind: str, whole_site: Stack, new_member: NewMember) -> None:
    member = await new_member(whole_site)
    text = "input" if kind == "speech" else "prompt"
    job = await started(member, kind, f"demo-{kind}-slow", **{text: f"[seconds=60] {PROMPT}"})
    page = await member.context.new_page()
    await page.goto(f"{whole_site.url}/studio/{kind}?model=demo-{kind}")
    balance, after = page.locator(".funds b"), page.locator("[data-after]")
    before = await balance.inner_text()
    await expect(after).to_contain_text(f"You have {before}")
    await member.post(f"/api/media/jobs/{job}/cancel/", {})
    await expect(balance).not_to_have_text(before, timeout=LONG)
    await expect(page.locator(".funds")).not_to_contain_text("held", timeout=LONG)
    await expect(after).to_contain_text(f"You have {await balance.inner_text()}")
    await page.close()


async def opened(page: Page, place: str) -> None:
    await expect(page.locator(".viewer .job-page")).to_be_visible()
    await expect(page.locator(".viewer > header")).to_contain_text(place)


async def test_works_are_walked_through_by_keyboard(member: Member, whole_site: Stack) -> None:
    jobs = [await started(member, "speech", "demo-speech") for _ in range(2)]
    for job in jobs:
        await ended(member, f"/api/media/jobs/{job}/", "succeeded")
    watched = await Watched.of(member.context, whole_site.url)
    page = watched.page
    await watched.open("/studio/speech")
    await expect(page.locator(".gallery svg.wave")).to_have_count(2)
    works = page.locator(".gallery a.picture")
    await works.first.focus()
    await page.keyboard.press("ArrowRight")
    await expect(works.nth(1)).to_be_focused()
    await page.keyboard.press("Enter")
    await opened(page, "2 of 2")
    await page.keyboard.press("ArrowLeft")
    await opened(page, "1 of 2")
    viewer = page.get_by_role("dialog")
    await viewer.get_by_role("button", name="Next work").press("Enter")
    await opened(page, "2 of 2")
    await page.keyboard.press("ArrowLeft")
    await opened(page, "1 of 2")
    await viewer.get_by_role("link", name="Receipt").focus()
    await page.keyboard.press("ArrowRight")
    await opened(page, "2 of 2")
    await page.keyboard.press("ArrowLeft")
    await opened(page, "1 of 2")
    for name in ("Download", "Receipt", "Again with these settings"):
        await expect(viewer.get_by_role("link", name=name)).to_be_visible()
    await expect(viewer.locator("audio")).to_have_attribute("controls", "")
    await viewer.get_by_text("Get code").click()
    await expect(viewer.locator("#job-call")).to_contain_text('"model": "demo-speech"')
    await viewer.get_by_role("button", name="Copy").click()
    await copied(page, "/api/media/speech/")
    await expect(viewer.locator(".legend").first).to_contain_text(str(await charged(member, jobs[1])))
    assert await watched.examine() + watched.faults == []
    await page.keyboard.press("Escape")
    await expect(viewer).to_have_count(0)
    await expect(works.first).to_be_focused()
    await page.close()


async def test_what_has_expired_says_since_when(member: Member, whole_site: Stack) -> None:
    job = await started(member, "image", "demo-image")
    await ended(member, f"/api/media/jobs/{job}/", "succeeded")
    gone = "UPDATE media_jobs SET expires_at = now() - interval '3 hours' WHERE id = %s"
    async with await psycopg.AsyncConnection.connect(whole_site.owner_url) as connection:
        await connection.execute(gone, [job])
    page = await member.context.new_page()
    await page.goto(f"{whole_site.url}/studio/image")
    tile = page.locator(f"#job-{job}")
    await expect(tile).to_contain_text(re.compile("Gone.*since 3 hours ago", re.DOTALL))
    await expect(tile.get_by_role("link", name="Make again")).to_be_visible()
    await expect(tile.locator("img")).to_have_count(0)
    await page.close()
